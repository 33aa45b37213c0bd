package aeonnx

import (
	"math"
	"slices"
	"testing"
)

func TestArraysAreMadeWhatAPartTakes(t *testing.T) {
	part := &Part{name: "encoder", Variant: &Variant{
		Inputs: []Spec{
			{Name: "x", DType: "float32", Kind: "vector", Shape: shapeOf(4, 2), Range: []float64{-1, 1}},
			{Name: "label", DType: "int64", Kind: "label", Shape: shapeOf(4), Range: []float64{0, 9}},
		},
		Outputs: []Spec{{Name: "z", DType: "float32", Kind: "latent", Shape: shapeOf(4, 1)}},
	}}
	for _, good := range []Tensor{
		NewTensor([]float32{1, -0.5}, 1, 2), NewTensor([]float64{1, -0.5}, 1, 2),
		{"float16", []int64{1, 2}, []byte{0, 0x3c, 0, 0xb8}},
	} {
		got, err := part.Prepare("x", good)
		if values, _ := Values[float32](got); err != nil || !slices.Equal(values, []float32{1, -0.5}) {
			t.Errorf("%v: %v, %v", good, values, err)
		}
	}
	for _, one := range []struct {
		name    string
		array   Tensor
		refused string
	}{
		{"x", NewTensor([]float32{1, 7}, 1, 2), "encoder: x: expected values in [-1, 1], got 1 to 7"},
		{"x", NewTensor([]float32{-3, 7}, 1, 2), "encoder: x: expected values in [-1, 1], got -3 to 7"},
		{"x", NewTensor([]float64{0, 1e300}, 1, 2), "encoder: x: expected finite values, got NaN or infinity"},
		{"x", NewTensor([]float32{0, float32(math.NaN())}, 1, 2), "encoder: x: expected finite values, got NaN or infinity"},
		{"x", NewTensor([]float32{0, float32(math.Inf(-1))}, 1, 2), "encoder: x: expected finite values, got NaN or infinity"},
		{"x", NewTensor([]float32{0, 1}, 2), "encoder: x: expected float32 [batch, 2], got float32 [2]"},
		{"x", NewTensor([]float32{}, 0, 2), "encoder: x: expected float32 [batch, 2], got float32 [0, 2]"},
		{"x", NewTensor([]uint8{0, 1}, 1, 2), "encoder: x: expected float32 [batch, 2], got uint8 [1, 2]"},
		{"label", NewTensor([]float64{3}, 1), "encoder: label: expected int64 [batch], got float64 [1]"},
		{"label", NewTensor([]int64{12}, 1), "encoder: label: expected values in [0, 9], got 12 to 12"},
		{"y", NewTensor([]int64{12}, 1), "encoder: expected inputs [x label], got y"},
	} {
		if _, err := part.Prepare(one.name, one.array); err == nil || err.Error() != one.refused {
			t.Errorf("expected %q, got %v", one.refused, err)
		}
	}
	_, err := part.sizes(map[string]Tensor{"x": NewTensor([]float32{1, 2}, 1, 2), "label": {"int64", []int64{1}, make([]byte, 5)}})
	if expected := "encoder: label: expected the bytes of int64 [1], got 5 bytes"; err == nil || err.Error() != expected {
		t.Error(err)
	}
}

func TestNaNStandsForAMissingValueWhereThereMayBeSome(t *testing.T) {
	part := &Part{name: "encoder", Variant: &Variant{
		Inputs:  []Spec{{Name: "x", DType: "float32", Shape: shapeOf("batch", 2), Range: []float64{-1, 1}, Missing: true}},
		Outputs: []Spec{{Name: "z", DType: "float32", Shape: shapeOf("batch", 1)}},
	}}
	nan, infinite := float32(math.NaN()), float32(math.Inf(1))
	for _, good := range []Tensor{
		NewTensor([]float32{nan, 1}, 1, 2), NewTensor([]float32{-1, nan}, 1, 2), NewTensor([]float32{nan, nan}, 1, 2),
		{"float16", []int64{1, 2}, []byte{0, 0x7e, 0, 0x3c}},
	} {
		if got, err := part.Prepare("x", good); err != nil || !math.IsNaN(got.value(0)+got.value(1)) {
			t.Errorf("%v: %v", good, err)
		}
	}
	for _, one := range []struct {
		array   Tensor
		refused string
	}{
		{NewTensor([]float32{nan, 7}, 1, 2), "encoder: x: expected values in [-1, 1], got 7 to 7"},
		{NewTensor([]float32{nan, infinite}, 1, 2), "encoder: x: expected finite values, got NaN or infinity"},
		{NewTensor([]float32{-infinite, nan}, 1, 2), "encoder: x: expected finite values, got NaN or infinity"},
		{Tensor{"float16", []int64{1, 2}, []byte{0, 0x7e, 0, 0xfc}}, "encoder: x: expected finite values, got NaN or infinity"},
	} {
		if _, err := part.Prepare("x", one.array); err == nil || err.Error() != one.refused {
			t.Errorf("expected %q, got %v", one.refused, err)
		}
	}
}

func TestARangeIsComparedInTheDtypeOfItsInput(t *testing.T) {
	tenth := []float64{-0.1, 0.1}
	part := &Part{name: "encoder", Variant: &Variant{
		Inputs: []Spec{
			{Name: "x", DType: "float32", Kind: "other", Shape: shapeOf("batch", 2), Range: tenth},
			{Name: "wide", DType: "float64", Kind: "other", Shape: shapeOf("batch", 2), Range: tenth},
			{Name: "whole", DType: "int64", Kind: "other", Shape: shapeOf("batch", 2), Range: []float64{0, 1<<24 + 1}},
		},
		Outputs: []Spec{{Name: "z", DType: "float32", Shape: shapeOf("batch", 1)}},
	}}
	nearest := float32(0.1) // which is above 0.1
	above := math.Nextafter32(nearest, 1)
	for _, one := range []struct {
		name    string
		array   Tensor
		refused string
	}{
		{"x", NewTensor([]float32{-nearest, nearest}, 1, 2), ""},
		{"x", NewTensor([]float64{-0.1, 0.1}, 1, 2), ""},
		{"x", NewTensor([]float32{0, above}, 1, 2), "encoder: x: expected values in [-0.1, 0.1], got 0 to 0.100000009"},
		{"wide", NewTensor([]float64{-0.1, 0.1}, 1, 2), ""},
		{"wide", NewTensor([]float64{0, float64(nearest)}, 1, 2),
			"encoder: wide: expected values in [-0.1, 0.1], got 0 to 0.100000001"},
		{"whole", NewTensor([]int64{0, 1<<24 + 1}, 1, 2), ""},
		{"whole", NewTensor([]int64{0, 1<<24 + 2}, 1, 2),
			"encoder: whole: expected values in [0, 1.6777217e+07], got 0 to 16777218"},
	} {
		_, err := part.Prepare(one.name, one.array)
		if one.refused == "" && err != nil || one.refused != "" && (err == nil || err.Error() != one.refused) {
			t.Errorf("expected %q, got %v", one.refused, err)
		}
	}
}

func TestLabelsAndCodesWithoutARangeAreNotNegative(t *testing.T) {
	for kind, refused := range map[string]bool{"label": true, "codes": true, "other": false} {
		part := &Part{name: "decoder", Variant: &Variant{
			Inputs:  []Spec{numbersOf("z", kind, "batch", 2)},
			Outputs: []Spec{{Name: "y", DType: "float32", Shape: shapeOf("batch", 1)}},
		}}
		if _, err := part.Prepare("z", NewTensor([]int64{0, 1 << 40}, 1, 2)); err != nil {
			t.Error(kind, err)
		}
		_, err := part.Prepare("z", NewTensor([]int64{5, -1}, 1, 2))
		const expected = "decoder: z: expected values of 0 or more, got -1"
		if refused != (err != nil) || refused && err.Error() != expected {
			t.Errorf("%s: %v", kind, err)
		}
		part.Inputs[0].Range = []float64{-2, 9}
		if _, err := part.Prepare("z", NewTensor([]int64{5, -1}, 1, 2)); err != nil {
			t.Error(kind, err)
		}
	}
}

// A hostile bundle may ask for more copies of a row than memory has.
func TestABatchOfLargeRowsIsRefusedBeforeItIsMade(t *testing.T) {
	part := denoiserOf(map[string]Axis{"h": anySize, "w": anySize}, 1<<30, 1, "h", "w")
	_, err := part.Run(map[string]Tensor{"x": {"uint8", []int64{1, 1, 3, 2}, make([]byte, 6)}})
	expected := "denoiser: uint8 [1073741824, 1, 3, 2] is more than 2147483648 bytes: give less at once"
	if err == nil || err.Error() != expected {
		t.Error(err)
	}
	part.Outputs = []Spec{{Name: "z", DType: "uint8", Shape: shapeOf(1<<30, 1)}}
	_, err = part.Run(map[string]Tensor{"x": {"uint8", []int64{1, 1, 3, 2}, make([]byte, 6)}})
	if err == nil || err.Error() != expected {
		t.Error(err)
	}
}
