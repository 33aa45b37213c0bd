package aeonnx

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// scorerOf is a scorer of an input, with a label from 0 to 9, and with what normal rows score by its first score.
func scorerOf(input Spec, label bool) *Part {
	v := &Variant{
		Inputs:      []Spec{input},
		Outputs:     []Spec{{Name: "map", Shape: input.Shape[:1]}, scoreOf("combined", Batch), scoreOf("error", Batch)},
		Percentiles: map[string]map[string]float64{"combined": {"p99": 98, "p95": 94, "p5": 5}, "error": {"p50": 1}},
		Normal:      map[string]Quantiles{"combined": make(Quantiles, manyQuantiles)},
	}
	for i := range v.Normal["combined"] {
		v.Normal["combined"][i] = float64(i)
	}
	if label {
		v.Inputs = append(v.Inputs, numbersOf("class", "label", Batch))
		v.Inputs[1].Range = []float64{0, 9}
	}
	return &Part{name: "scorer", Variant: v}
}

func TestAThresholdIsANumberOrTheNameOfOne(t *testing.T) {
	known, bare := scorerOf(vectorOf("x", Batch, 2), false), scorerOf(vectorOf("x", Batch, 2), false)
	bare.Percentiles = map[string]map[string]float64{"combined": {}, "error": {"p99": 1}}
	for text, expected := range map[string]float64{
		"p99": 98, "p95": 94, "0": 0, "-0.25": -0.25, "1e3": 1000, "+.5": 0.5, "7.": 7, "1e-999": 0,
	} {
		if got, err := known.Threshold(text); err != nil || got != expected {
			t.Errorf("%s: expected %g, got %g, %v", text, expected, got, err)
		}
	}
	for _, text := range []string{"p98", "P99", "", "nan", "inf", "-Infinity", "1e999", "0x1p3", "1_0", " 1", "1,5", "p99 "} {
		_, err := known.Threshold(text)
		expected := ThresholdError("threshold: expected p5, p95, p99 or a number, got " + text)
		if err != expected {
			t.Errorf("expected %q, got %v", expected, err)
		}
	}
	if _, err := bare.Threshold("many"); err != ThresholdError("threshold: expected a number, got many") {
		t.Error(err)
	}
	const nothing = "threshold p99: the manifest says nothing about the scores of normal images: " +
		"give a number, or export again with --calibration IMAGES"
	_, err := bare.Threshold("p99")
	if wrong := ThresholdError(""); err == nil || err.Error() != nothing || errors.As(err, &wrong) {
		t.Error(err)
	}
}

func TestAScoreAboveTheThresholdIsOdd(t *testing.T) {
	part := scorerOf(vectorOf("x", Batch, 2), false)
	scores := []float32{94, 94.5, -1, 200, float32(math.Inf(1)), float32(math.NaN())}
	found := part.judged(scores, 94)
	if !slices.Equal(found.Odd, []bool{false, true, false, true, true, true}) || found.Threshold != 94 {
		t.Errorf("%+v", found)
	}
	if !slices.Equal(found.Percentiles, []float64{94, 94.5, 0, 100, 100, 100}) {
		t.Errorf("%+v", found)
	}
	part.Normal = nil
	for _, percentile := range part.judged(scores, 94).Percentiles {
		if !math.IsNaN(percentile) {
			t.Error(percentile)
		}
	}
}

func TestWhatIsScoredMayBeOutsideOfTheRange(t *testing.T) {
	grey := Spec{Name: "x", DType: "float32", Kind: "image", Shape: shapeOf(Batch, 1, 1, 2), Range: []float64{-1, 1}}
	table := vectorOf("x", Batch, 2)
	table.Range = grey.Range
	nan, infinite := float32(math.NaN()), float32(math.Inf(1))
	gappy := table
	gappy.Missing = true
	for _, one := range []struct {
		input    Spec
		rows     Tensor
		expected []float32
		refused  string
	}{
		{table, NewTensor([]float32{7, -7}, 1, 2), []float32{7, -7}, ""},
		{table, NewTensor([]float64{7, 0.5}, 1, 2), []float32{7, 0.5}, ""},
		{gappy, NewTensor([]float32{7, nan}, 1, 2), []float32{7, nan}, ""},
		{grey, NewTensor([]uint8{0, 255}, 1, 1, 1, 2), []float32{-1, 1}, ""},
		{table, NewTensor([]float32{7, nan}, 1, 2), nil, "scorer: x: expected finite values, got NaN or infinity"},
		{gappy, NewTensor([]float32{7, infinite}, 1, 2), nil, "scorer: x: expected finite values, got NaN or infinity"},
		{table, NewTensor([]uint8{7, 7}, 1, 2), nil, "scorer: x: expected float32 [batch, 2], got uint8 [1, 2]"},
		{table, NewTensor([]float32{}, 0, 2), nil, "scorer: x: expected float32 [batch, 2], got float32 [0, 2]"},
		{grey, NewTensor([]uint8{0, 255}, 1, 2, 1, 1), nil, "scorer: x: expected float32 [batch, 1, 1, 2], got float32 [1, 2, 1, 1]"},
	} {
		inputs, err := scorerOf(one.input, false).scored(one.rows, nil)
		if one.refused != "" {
			if err == nil || err.Error() != one.refused {
				t.Errorf("expected %q, got %v", one.refused, err)
			}
			continue
		}
		got, _ := Values[float32](inputs["x"])
		same := func(a, b float32) bool { return a == b || a != a && b != b }
		if err != nil || !slices.EqualFunc(got, one.expected, same) {
			t.Errorf("expected %v, got %v, %v", one.expected, got, err)
		}
	}
}

func TestARowWithoutAnyValueIsNotScored(t *testing.T) {
	nan := float32(math.NaN())
	table, signal, single := vectorOf("x", Batch, 2), vectorOf("x", Batch, 1, 2), vectorOf("x", Batch)
	whole := table
	table.Missing, signal.Missing, single.Missing = true, true, true
	for _, one := range []struct {
		input   Spec
		rows    Tensor
		refused string
	}{
		{table, NewTensor([]float32{nan, 1, 2, nan}, 2, 2), ""},
		{signal, NewTensor([]float32{nan, 1, 2, nan}, 2, 1, 2), ""},
		{single, NewTensor([]float32{nan, 1}, 2), ""},
		{table, NewTensor([]float32{nan, 1, nan, nan}, 2, 2),
			"scorer: x: expected a value in each row, got none in row 1: remove it"},
		{signal, NewTensor([]float32{nan, nan, 1, 1}, 2, 1, 2),
			"scorer: x: expected a value in each row, got none in row 0: remove it"},
		{whole, NewTensor([]float32{nan, nan}, 1, 2), "scorer: x: expected finite values, got NaN or infinity"},
	} {
		part, path := scorerOf(one.input, false), filepath.Join(t.TempDir(), "rows.npy")
		if err := WriteArray(path, one.rows, false); err != nil {
			t.Fatal(err)
		}
		_, scored := part.scored(one.rows, nil)
		_, _, read := part.ReadRows(path)
		for _, err := range []error{scored, read} {
			if one.refused == "" && err != nil || one.refused != "" && (err == nil || err.Error() != one.refused) {
				t.Errorf("expected %q, got %v", one.refused, err)
			}
		}
	}
}

func TestAllRowsHaveTheLabel(t *testing.T) {
	table, rows := vectorOf("x", Batch, 2), NewTensor([]float32{1, 2, 3, 4, 5, 6}, 3, 2)
	inputs, err := scorerOf(table, true).scored(rows, []int64{4})
	if labels, _ := Values[int64](inputs["class"]); err != nil || !slices.Equal(labels, []int64{4, 4, 4}) {
		t.Error(labels, err)
	}
	for _, one := range []struct {
		takes   bool
		label   []int64
		refused string
	}{
		{true, nil, "expected a label if the scorer takes one, and none else, got []"},
		{false, []int64{4}, "expected a label if the scorer takes one, and none else, got [4]"},
		{true, []int64{12}, "scorer: class: expected values in [0, 9], got 12 to 12"},
	} {
		if _, err := scorerOf(table, one.takes).scored(rows, one.label); err == nil || err.Error() != one.refused {
			t.Errorf("expected %q, got %v", one.refused, err)
		}
	}
}

func TestAFileIsAPictureOrRowsByItsContent(t *testing.T) {
	folder := t.TempDir()
	picture, array := filepath.Join(folder, "in.npy"), filepath.Join(folder, "rows.png")
	if err := WritePicture(picture, NewTensor([]uint8{0, 255}, 1, 1, 1, 2), false); err != nil {
		t.Fatal(err)
	}
	if err := WriteArray(array, NewTensor([]float64{7, -7}, 1, 2), false); err != nil {
		t.Fatal(err)
	}
	empty, none := filepath.Join(folder, "empty"), filepath.Join(folder, "none")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	grey := Spec{Name: "x", DType: "float32", Kind: "image", Shape: shapeOf(Batch, 1, 1, 2), Range: []float64{-1, 1}}
	free, many := grey, grey
	free.Range, many.Shape = nil, shapeOf(Batch, 5, 1, 2)
	table := vectorOf("x", 8, 2)
	for _, one := range []struct {
		input     Spec
		path      string
		isPicture bool
		refused   string
	}{
		{grey, picture, true, ""},
		{table, array, false, ""},
		{grey, array, false, "scorer: x: expected float32 [batch, 1, 1, 2], got float32 [1, 2]"},
		{grey, empty, true, empty + " is not a readable PNG, JPEG or BMP image: it starts as none of them"},
		{grey, none, true, none + " is not a readable PNG, JPEG or BMP image: no such file or directory"},
		{grey, folder, true, folder + " is not a regular file"},
		{free, picture, false, picture + ": this scorer takes image [batch, 1, 1, 2]: give a .npy file of rows"},
		{many, picture, false, picture + ": this scorer takes image [batch, 5, 1, 2]: give a .npy file of rows"},
		{table, picture, false, picture + ": this scorer takes vector [batch, 2]: give a .npy file of rows"},
		{table, empty, false, empty + ": this scorer takes vector [batch, 2]: give a .npy file of rows"},
		{table, none, false, none + " is not a readable .npy file: no such file or directory"},
		{table, folder, false, folder + " is not a regular file"},
	} {
		part := scorerOf(one.input, false)
		rows, isPicture, err := part.ReadRows(one.path)
		if isPicture != one.isPicture {
			t.Errorf("%s: %v", one.path, isPicture)
		}
		if one.refused == "" && (err != nil || rows.DType != map[bool]string{true: "uint8", false: "float32"}[isPicture]) {
			t.Errorf("%s: %v, %v", one.path, rows, err)
		}
		if one.refused != "" && (err == nil || err.Error() != one.refused) {
			t.Errorf("expected %q, got %v", one.refused, err)
		}
	}
}
