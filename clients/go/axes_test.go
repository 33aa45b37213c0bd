package aeonnx

import (
	"maps"
	"slices"
	"testing"
)

// shapeOf reads sizes as they are in a manifest: texts and numbers.
func shapeOf(sizes ...any) Shape {
	shape := Shape{}
	for _, size := range sizes {
		switch size := size.(type) {
		case int:
			shape = append(shape, number(int64(size)))
		case string:
			shape = append(shape, sizeOf(size))
		}
	}
	return shape
}

func TestASizeIsAnAxisTimesOrDividedByANumber(t *testing.T) {
	for text, expected := range map[string]Size{
		"height":      {"height", "height", 1, 1},
		"height/8":    {"height/8", "height", 1, 8},
		"320*frames":  {"320*frames", "frames", 320, 1},
		"2*height/2":  {text: "2*height/2"},
		"0*height":    {text: "0*height"},
		"height/0":    {text: "height/0"},
		"Height":      {text: "Height"},
		"hei\"ght":    {text: "hei\"ght"},
		"height\n":    {text: "height\n"},
		"-height":     {text: "-height"},
		"":            {},
		"1234567890*": {text: "1234567890*"},
	} {
		if got := sizeOf(text); got != expected {
			t.Errorf("%q: expected %+v, got %+v", text, expected, got)
		}
	}
}

func TestSizesThatNoArrayHasDoNotOverflow(t *testing.T) {
	huge := map[string]int64{"a": maxSize}
	if got := sizeOf("999999999*a").at(huge); got != maxSize {
		t.Error(got)
	}
	if got := sizeOf("a/999999999").axisSize(maxSize); got != maxSize {
		t.Error(got)
	}
	if got := bytesOf("float64", []int64{maxSize, maxSize, maxSize}); got != maxSize {
		t.Error(got)
	}
	axis := Axis{maxSize, maxSize, 0, maxSize}
	if got := axis.nearest(maxSize); got != maxSize {
		t.Error(got)
	}
	if got := axis.roundUp(maxSize - 1); got != maxSize {
		t.Error(got)
	}
	for piece := range pieces(axis, maxSize, 512) {
		if piece.stop != maxSize {
			t.Error(piece)
		}
	}
}

func TestTheInputsSayHowLargeTheAxesAre(t *testing.T) {
	axes := map[string]Axis{
		"height": {8, 16, 0, 4}, "width": {8, 16, 64, 4}, "frames": {1, 2, 0, 1}, Batch: anySize,
	}
	image := shapeOf("batch", 1, "height", "width")
	code := shapeOf("batch", 4, "height/8", "width/8")
	for _, one := range []struct {
		tensors  []sized
		expected map[string]int64
		refused  string
	}{
		{[]sized{{"x", image, []int64{3, 1, 16, 24}}}, map[string]int64{"batch": 3, "height": 16, "width": 24}, ""},
		{[]sized{{"z", code, []int64{1, 4, 2, 8}}}, map[string]int64{"batch": 1, "height": 16, "width": 64}, ""},
		{[]sized{{"x", image, []int64{3, 1, 41, 24}}}, nil,
			"x: height: expected a multiple of 8 of at least 16, got 41: the nearest is 40"},
		{[]sized{{"x", image, []int64{3, 1, 44, 24}}}, nil,
			"x: height: expected a multiple of 8 of at least 16, got 44: the nearest is 48"},
		{[]sized{{"x", image, []int64{3, 1, 8, 24}}}, nil,
			"x: height: expected a multiple of 8 of at least 16, got 8: the nearest is 16"},
		{[]sized{{"x", image, []int64{3, 1, 16, 80}}}, nil,
			"x: width: expected a multiple of 8 from 16 to 64, got 80: the nearest is 64"},
		{[]sized{{"x", shapeOf("batch", "16*frames"), []int64{1, 33}}}, nil,
			"x: expected a multiple of 16 for 16*frames, got 33"},
		{[]sized{{"x", shapeOf("batch", "16*frames"), []int64{1, 16}}}, nil,
			"x: frames: expected a size of at least 2, got 1: the nearest is 2"},
		{[]sized{{"z", shapeOf("batch", "frames"), []int64{1, 10}}, {"mask", shapeOf("frames"), []int64{12}}}, nil,
			"frames: expected one size in all inputs, got 10 in z and 12 in mask"},
		{[]sized{{"z", shapeOf("batch"), []int64{5}}, {"label", shapeOf("batch"), []int64{4}}}, nil,
			"batch: expected one size in all inputs, got 5 in z and 4 in label"},
	} {
		got, err := solve(one.tensors, axes)
		if one.refused == "" && (err != nil || !maps.Equal(got, one.expected)) {
			t.Errorf("%v: got %v, %v", one.tensors, got, err)
		}
		if one.refused != "" && (err == nil || err.Error() != one.refused) {
			t.Errorf("expected %q, got %v", one.refused, err)
		}
	}
}

func TestTheNearestSizeIsAllowed(t *testing.T) {
	for _, axis := range []Axis{{1, 1, 0, 0}, {8, 16, 0, 0}, {8, 16, 64, 0}, {3, 9, 9, 0}, {7, 7, 700, 0}} {
		for size := range int64(900) {
			got := axis.nearest(size)
			if !axis.allows(got) {
				t.Errorf("%v of %d: %d", axis, size, got)
			}
			for other := range int64(900) {
				far, least := got-size, other-size
				if axis.allows(other) && least*least < far*far {
					t.Errorf("%v of %d: %d is nearer than %d", axis, size, other, got)
				}
			}
		}
	}
}

func TestAShapeFitsWhatHasItsNumbers(t *testing.T) {
	shape := shapeOf("batch", 3, "height")
	for _, given := range [][]int64{{1, 3, 5}, {7, 3, 1}} {
		if !shape.fits(given) {
			t.Error(given)
		}
	}
	for _, given := range [][]int64{nil, {1, 3}, {1, 3, 5, 1}, {1, 4, 5}, {0, 3, 5}, {1, 3, 0}, {1, 3, -5}} {
		if shape.fits(given) {
			t.Error(given)
		}
	}
	if got := shape.at(map[string]int64{Batch: 2, "height": 9}); !slices.Equal(got, []int64{2, 3, 9}) {
		t.Error(got)
	}
}
