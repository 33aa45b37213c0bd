package aeonnx

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestPiecesCoverAnAxis(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		multiple := 1 + random.Int64N(9)
		axis := Axis{multiple, multiple * (1 + random.Int64N(20)), 0, random.Int64N(40)}
		side := 1 + random.Int64N(100)
		size := axis.Min + multiple*random.Int64N(90)
		what := fmt.Sprintf("%+v, %d, side %d", axis, size, side)
		margin, at := roundUp(axis.Margin, multiple), int64(0)
		for piece := range pieces(axis, size, side) {
			if piece.start != at || piece.stop <= at || piece.stop > size {
				t.Fatalf("%s: %v begins or ends wrong", what, piece)
			}
			at = piece.stop
			if piece.first > max(0, piece.start-margin) || piece.last < min(size, piece.stop+margin) {
				t.Fatalf("%s: %v has less than its margin", what, piece)
			}
			if !axis.allows(piece.last-piece.first) || piece.first < 0 || piece.last > size ||
				piece.first%multiple != 0 || piece.start%multiple != 0 {
				t.Fatalf("%s: %v has sizes that the axis does not allow", what, piece)
			}
		}
		if at != size {
			t.Fatalf("%s: ends at %d", what, at)
		}
	}
}

func TestPiecesAreThoseOfAllLanguages(t *testing.T) {
	got := slices.Collect(pieces(Axis{2, 8, 0, 7}, 1100, 512))
	expected := []piece{{0, 496, 0, 504}, {496, 992, 488, 1000}, {992, 1100, 984, 1100}}
	if !slices.Equal(got, expected) {
		t.Error(got)
	}
	got = slices.Collect(pieces(Axis{2, 600, 0, 7}, 1100, 512))
	if expected := []piece{{0, 584, 0, 600}, {584, 1100, 500, 1100}}; !slices.Equal(got, expected) {
		t.Error(got)
	}
	got = slices.Collect(pieces(Axis{1, 5, 0, 1}, 8, 1))
	if expected := []piece{{0, 3, 0, 5}, {3, 6, 2, 7}, {6, 8, 3, 8}}; !slices.Equal(got, expected) {
		t.Error(got)
	}
	if got := slices.Collect(pieces(Axis{2, 8, 0, 7}, 512, 512)); !slices.Equal(got, []piece{{0, 512, 0, 512}}) {
		t.Error(got)
	}
}

// A blur of 5x3 places, halved in both directions, beside the sums of a mask without rows.
func blurred(inputs map[string]Tensor, sizes map[string]int64) (map[string]Tensor, error) {
	x, height, width := inputs["x"], int(sizes["h"]), int(sizes["w"])
	values := []int64{}
	for row := range int(sizes[Batch]) {
		for y := 0; y < height; y += 2 {
			for at := 0; at < width; at += 2 {
				sum := int64(inputs["mask"].value(y*width + at))
				for i := max(0, y-2); i < min(height, y+3); i++ {
					for j := max(0, at-1); j < min(width, at+2); j++ {
						sum = sum*3 + int64(x.value((row*height+i)*width+j))
					}
				}
				values = append(values, sum)
			}
		}
	}
	return map[string]Tensor{"z": NewTensor(values, sizes[Batch], sizes["h"]/2, 1, sizes["w"]/2)}, nil
}

func TestTilesGiveWhatTheWholeGives(t *testing.T) {
	part := &Part{name: "encoder", Variant: &Variant{
		Inputs: []Spec{
			{Name: "x", DType: "int32", Shape: shapeOf("batch", "h", "w")},
			{Name: "mask", DType: "uint8", Shape: shapeOf("h", "w")},
		},
		Outputs: []Spec{{Name: "z", DType: "int64", Shape: shapeOf("batch", "h/2", 1, "w/2")}},
		Axes:    map[string]Axis{"h": {2, 4, 0, 2}, "w": {2, 2, 0, 1}, Batch: anySize},
	}}
	defer func(side int64) { sides[2] = side }(sides[2])
	random := rand.New(rand.NewPCG(3, 4))
	for sides[2] = 1; sides[2] < 40; sides[2] += 3 {
		sizes := map[string]int64{Batch: 2, "h": 4 + 2*random.Int64N(30), "w": 2 + 2*random.Int64N(30)}
		x, mask := make([]int32, 2*sizes["h"]*sizes["w"]), make([]uint8, sizes["h"]*sizes["w"])
		for i := range x {
			x[i] = random.Int32N(1000)
		}
		for i := range mask {
			mask[i] = uint8(random.UintN(256))
		}
		inputs := map[string]Tensor{
			"x": NewTensor(x, 2, sizes["h"], sizes["w"]), "mask": NewTensor(mask, sizes["h"], sizes["w"]),
		}
		runs := 0
		got, err := part.runTiles(func(in map[string]Tensor, at map[string]int64) (map[string]Tensor, error) {
			runs++
			if _, err := part.sizes(in); err != nil {
				return nil, err
			}
			return blurred(in, at)
		}, inputs, sizes)
		whole, _ := blurred(inputs, sizes)
		if err != nil || !got["z"].like(whole["z"]) || !slices.Equal(got["z"].Data, whole["z"].Data) {
			t.Errorf("side %d, %v: %v, other values", sides[2], sizes, err)
		}
		if runs < 2 && sizes["h"] > sides[2]+8 {
			t.Errorf("side %d, %v: %d runs", sides[2], sizes, runs)
		}
	}
}

func TestOnlyLargeRowsWithMarginsRunInTiles(t *testing.T) {
	shape := shapeOf("batch", 1, "h", "w")
	of := func(axes map[string]Axis) *Part {
		return &Part{Variant: &Variant{Inputs: []Spec{{Shape: shape}}, Outputs: []Spec{{Shape: shape}}, Axes: axes}}
	}
	small, large := map[string]int64{Batch: 9, "h": 2048, "w": 2048}, map[string]int64{Batch: 1, "h": 2048, "w": 2049}
	tiled := of(map[string]Axis{"h": {1, 1, 0, 0}, "w": {1, 1, 0, 3}, Batch: anySize})
	if tiled.inTiles(small) || !tiled.inTiles(large) {
		t.Error("the size decides wrong")
	}
	if of(map[string]Axis{"h": {1, 1, 0, 0}, "w": {1, 1, 0, -1}, Batch: anySize}).inTiles(large) {
		t.Error("an axis has no margin")
	}
	if of(map[string]Axis{Batch: anySize}).inTiles(large) {
		t.Error("there is nothing to cut")
	}
}
