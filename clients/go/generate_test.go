package aeonnx

import (
	"maps"
	"slices"
	"testing"
)

// samplerOf is a sampler of colour images whose golden vectors have 16x24 pixels.
func samplerOf(height, width any, rows any) *Part {
	image := picture("image", "uint8", rows, 3, height, width)
	return &Part{name: "sampler", Variant: &Variant{
		Inputs: []Spec{
			numbersOf("seed", "seed", 1), numbersOf("index", "index", rows),
			{Name: "size", DType: "uint8", Kind: "canvas", Shape: shapeOf(rows, height, width)},
			{Name: "class", DType: "int64", Kind: "label", Shape: shapeOf(rows), Range: []float64{0, 4}},
		},
		Outputs: []Spec{image},
		Axes:    map[string]Axis{"height": {4, 8, 512, -1}, "width": {2, 4, 0, -1}, Batch: anySize},
		Golden:  []StoredGolden{{Outputs: map[string]Stored{"image": {Shape: []int64{8, 3, 16, 24}}}}, {}},
	}}
}

func TestImagesHaveTheSizeThatIsAskedForOrThatOfTheGoldenVectors(t *testing.T) {
	free, wide, fixed := samplerOf("height", "width", Batch), samplerOf(16, "3*width", Batch), samplerOf(16, 24, Batch)
	for _, one := range []struct {
		part     *Part
		size     []int64
		expected map[string]int64
		refused  string
	}{
		{free, nil, map[string]int64{"height": 16, "width": 24}, ""},
		{free, []int64{64, 48}, map[string]int64{"height": 64, "width": 48}, ""},
		{free, []int64{512, 1 << 40}, map[string]int64{"height": 512, "width": 1 << 40}, ""},
		{free, []int64{30, 48}, nil, "size: height: expected a multiple of 4 from 8 to 512, got 30: the nearest is 32"},
		{free, []int64{64, 7}, nil, "size: width: expected a multiple of 2 of at least 4, got 7: the nearest is 8"},
		{free, []int64{0, 48}, nil, "size: height: expected a multiple of 4 from 8 to 512, got 0: the nearest is 8"},
		{free, []int64{64}, nil, "size: expected 2 numbers, height and width, got 64"},
		{free, []int64{64, 48, 3}, nil, "size: expected 2 numbers, height and width, got 64x48x3"},
		{free, []int64{64, -4}, nil, "size: expected whole numbers of at most 53 bits, got 64x-4"},
		{free, []int64{maxSize + 1, 4}, nil, "size: expected whole numbers of at most 53 bits, got 9007199254740992x4"},
		{wide, nil, map[string]int64{"width": 8}, ""},
		{wide, []int64{36}, map[string]int64{"width": 12}, ""},
		{wide, []int64{40}, nil, "size: expected a multiple of 3 for 3*width, got 40"},
		{wide, []int64{64, 48}, nil, "size: expected 1 number, 3*width, got 64x48"},
		{fixed, nil, map[string]int64{}, ""},
		{fixed, []int64{16, 24}, nil, "size: expected none, the images of this bundle have one size"},
	} {
		got, err := one.part.ImageSizes(one.size...)
		if one.refused == "" && (err != nil || !maps.Equal(got, one.expected)) {
			t.Errorf("%v: expected %v, got %v, %v", one.size, one.expected, got, err)
		}
		if one.refused != "" && (err == nil || err.Error() != one.refused) {
			t.Errorf("expected %q, got %v", one.refused, err)
		}
	}
}

func TestASamplerTakesNumbersAndACanvasOfTheSize(t *testing.T) {
	part, sizes := samplerOf("height", "width", Batch), map[string]int64{"height": 64, "width": 6, Batch: 3}
	inputs, err := part.drawn(7, 64, sizes, []int64{4})
	if err != nil {
		t.Fatal(err)
	}
	for name, expected := range map[string]Tensor{
		"seed": NewTensor([]int64{7}, 1), "index": NewTensor([]int64{64, 65, 66}, 3),
		"size": NewTensor(make([]uint8, 3*64*6), 3, 64, 6), "class": NewTensor([]int64{4, 4, 4}, 3),
	} {
		if got := inputs[name]; !got.like(expected) || !slices.Equal(got.Data, expected.Data) {
			t.Errorf("%s: expected %v, got %v", name, expected, got)
		}
	}
	if found, err := part.sizes(inputs); err != nil || !maps.Equal(found, sizes) {
		t.Errorf("expected %v, got %v, %v", sizes, found, err)
	}
	const refused = "sampler: class: expected values in [0, 4], got 5 to 5"
	if _, err := part.drawn(7, 64, sizes, []int64{5}); err == nil || err.Error() != refused {
		t.Errorf("expected %q, got %v", refused, err)
	}
}

func TestFewerLargeImagesAreMadeAtOnce(t *testing.T) {
	free, fixed := samplerOf("height", "width", Batch), samplerOf("height", "width", 4)
	for values, expected := range map[int64]int{
		1: 64, 28 * 28: 64, 256 * 256: 64, 3 * 256 * 256: 21, 3 * 512 * 512: 5, 3 * 1024 * 1024: 1, maxBytes: 1,
	} {
		if got := free.imagesAtOnce(values); got != expected {
			t.Errorf("%d values: expected %d, got %d", values, expected, got)
		}
		if got := fixed.imagesAtOnce(values); got != 64 {
			t.Errorf("%d values: got %d", values, got)
		}
	}
}
