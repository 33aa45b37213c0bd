package aeonnx

import (
	"slices"
	"testing"
)

// What numpy.pad gives with mode="reflect".
func TestReflectionIsThatOfNumpy(t *testing.T) {
	for _, one := range []struct{ values, expected []int32 }{
		{[]int32{7}, []int32{7, 7, 7, 7}},
		{[]int32{1, 2}, []int32{1, 2, 1, 2, 1, 2, 1}},
		{[]int32{1, 2, 3}, []int32{1, 2, 3, 2, 1, 2, 3, 2, 1, 2}},
		{[]int32{1, 2, 3, 4, 5}, []int32{1, 2, 3, 4, 5, 4, 3, 2}},
	} {
		count := int64(len(one.expected))
		row := NewTensor(one.values, 1, int64(len(one.values))).reflected([]int64{1, count})
		if got, _ := Values[int32](row); !slices.Equal(got, one.expected) || !row.whole() {
			t.Errorf("%v: got %v", one.values, got)
		}
		column := NewTensor(one.values, int64(len(one.values)), 1).reflected([]int64{count, 2})
		got, _ := Values[int32](column)
		if !column.whole() || !slices.Equal(got, slices.Concat(pairs(one.expected)...)) {
			t.Errorf("%v: got %v", one.values, got)
		}
	}
}

func pairs(values []int32) [][]int32 {
	all := [][]int32{}
	for _, value := range values {
		all = append(all, []int32{value, value})
	}
	return all
}

func TestABlockIsWhereItWasTaken(t *testing.T) {
	values := make([]int32, 3*4*5)
	for i := range values {
		values[i] = int32(i)
	}
	whole := NewTensor(values, 3, 4, 5)
	block := whole.block([]int64{1, 2, 1}, []int64{2, 1, 3})
	if got, _ := Values[int32](block); !slices.Equal(got, []int32{31, 32, 33, 51, 52, 53}) {
		t.Error(got)
	}
	copyBlock(whole, []int64{0, 0, 2}, block, []int64{0, 0, 0}, block.Shape)
	got, _ := Values[int32](whole)
	if !slices.Equal(got[:6], []int32{0, 1, 31, 32, 33, 5}) || !slices.Equal(got[20:26], []int32{20, 21, 51, 52, 53, 25}) {
		t.Error(got)
	}
}

func denoiserOf(axes map[string]Axis, sizes ...any) *Part {
	spec := Spec{Name: "x", DType: "uint8", Kind: "image", Shape: shapeOf(sizes...)}
	return &Part{name: "denoiser", Variant: &Variant{Inputs: []Spec{spec}, Outputs: []Spec{spec}, Axes: axes}}
}

func TestPicturesArePaddedToWhatTheAxesAllow(t *testing.T) {
	axis := map[string]Axis{"h": {8, 16, 64, 0}, "w": {1, 1, 0, 0}, Batch: anySize}
	square := map[string]Axis{"side": {4, 4, 64, 0}, Batch: anySize}
	for _, one := range []struct {
		part        *Part
		given, padd []int64
		refused     string
	}{
		{denoiserOf(axis, "batch", 1, "h", "w"), []int64{2, 1, 17, 5}, []int64{2, 1, 24, 5}, ""},
		{denoiserOf(axis, "batch", 1, "h", "w"), []int64{2, 1, 1, 1}, []int64{2, 1, 16, 1}, ""},
		{denoiserOf(axis, "batch", 1, "h/8", "2*w"), []int64{1, 1, 3, 7}, []int64{1, 1, 3, 8}, ""},
		{denoiserOf(square, "batch", 1, "side", "side"), []int64{1, 1, 3, 9}, []int64{1, 1, 12, 12}, ""},
		{denoiserOf(square, "batch", 1, "side", "side"), []int64{1, 1, 9, 3}, []int64{1, 1, 12, 12}, ""},
		{denoiserOf(square, "batch", 1, "2*side", "side"), []int64{1, 1, 3, 9}, []int64{1, 1, 24, 12}, ""},
		{denoiserOf(nil, 4, 1, 28, 28), []int64{3, 1, 28, 28}, []int64{3, 1, 28, 28}, ""},
		{denoiserOf(axis, "batch", 1, "h", "w"), []int64{2, 1, 65, 5}, nil,
			"denoiser: x: h: expected a multiple of 8 from 16 to 64, got 72: give smaller images"},
		{denoiserOf(axis, "batch", 1, "h", "w"), []int64{1, 3, 16, 5}, nil,
			"denoiser: x: expected uint8 [batch, 1, h, w], got uint8 [1, 3, 16, 5]"},
		{denoiserOf(map[string]Axis{"h": {1, 1 << 40, 0, 0}, "w": {1, 1 << 40, 0, 0}}, 1, 1, "h", "w"), []int64{1, 1, 2, 2}, nil,
			"denoiser: x: uint8 [1, 1, 2, 2] needs images [1, 1, 1099511627776, 1099511627776], of more than 178956970 pixels"},
	} {
		images := Tensor{"uint8", one.given, make([]byte, product(one.given))}
		got, err := one.part.padded(images)
		if one.refused == "" && (err != nil || !slices.Equal(got.Shape, one.padd) || !got.whole()) {
			t.Errorf("%v: got %v, %v", one.given, got, err)
		}
		if one.refused != "" && (err == nil || err.Error() != one.refused) {
			t.Errorf("%v: expected %q, got %v", one.given, one.refused, err)
		}
	}
}
