package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"aeonnx"
)

func TestALineIsRFC4180(t *testing.T) {
	for name, expected := range map[string]string{
		"in.png": "in.png", " a b": " a b", "a,b": `"a,b"`, `a"b`: `"a""b"`, "a\nb": "\"a\nb\"", "a\rb": "\"a\rb\"",
		"": "", "\xff\t'": "\xff\t'",
	} {
		if got := quoted(name); got != expected {
			t.Errorf("expected %q, got %q", expected, got)
		}
	}
	infinite := float32(math.Inf(1))
	found := aeonnx.Scored{
		Scores:      []float32{0.057128231, 2.1273793e10, infinite, -infinite, float32(math.NaN())},
		Percentiles: []float64{93.1287123, 100, math.NaN(), 0, 1.0 / 3e6},
		Odd:         []bool{false, true, true, false, false},
	}
	for i, expected := range []string{
		"0.057128232,93.1287,normal", "2.1273793e+10,100,odd", "inf,,odd", "-inf,0,normal", "nan,3.33333e-07,normal",
	} {
		if got := lineOf(found, i); got != expected {
			t.Errorf("expected %q, got %q", expected, got)
		}
	}
}

func TestAFolderIsNotScored(t *testing.T) {
	folder := t.TempDir()
	_, _, err := readRows(nil, folder, true)
	expected := folder + " is a folder: name the pictures in it, such as " + folder + "/*.png"
	if err == nil || err.Error() != filepath.FromSlash(expected) {
		t.Errorf("expected %q, got %v", expected, err)
	}
}

func TestRowsAreNamedByTheirFileUnlessItIsTheOnlyOne(t *testing.T) {
	scorer := &aeonnx.Part{Variant: &aeonnx.Variant{
		Inputs: []aeonnx.Spec{{Name: "x", DType: "uint8", Kind: "image", Shape: aeonnx.Shape{
			{Axis: "batch", Factor: 1, Divisor: 1}, {Factor: 1, Divisor: 1}, {Factor: 1, Divisor: 1}, {Factor: 1, Divisor: 1},
		}}},
		Outputs: []aeonnx.Spec{{Name: "e", Shape: aeonnx.Shape{{Axis: "batch", Factor: 1, Divisor: 1}}}},
	}}
	folder := t.TempDir()
	array, picture := filepath.Join(folder, "rows.npy"), filepath.Join(folder, "in.png")
	if err := aeonnx.WriteArray(array, aeonnx.NewTensor([]uint8{1, 2}, 2, 1, 1, 1), false); err != nil {
		t.Fatal(err)
	}
	if err := aeonnx.WritePicture(picture, aeonnx.NewTensor([]uint8{1}, 1, 1, 1, 1), false); err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		file     string
		only     bool
		expected string
	}{{array, true, "1"}, {array, false, array + ":1"}, {picture, true, picture}, {picture, false, picture}} {
		names, _, err := readRows(scorer, one.file, one.only)
		if err != nil {
			t.Fatal(err)
		}
		if got := names(1); got != one.expected {
			t.Errorf("expected %q, got %q", one.expected, got)
		}
	}
}

func TestOptionsOfScore(t *testing.T) {
	asked, err := parse(strings.Fields("score B a.png --threshold -0.5 b.png --label 3 -o OUT.CSV --force"))
	if err != nil || asked.threshold != "-0.5" || *asked.label != 3 || *asked.table != "OUT.CSV" || len(asked.names) != 3 {
		t.Errorf("%+v %v", asked, err)
	}
	if asked, err = parse(strings.Fields("score B a.png")); err != nil || asked.threshold != "p99" || asked.table != nil {
		t.Errorf("%+v %v", asked, err)
	}
	for words, expected := range map[string]string{
		"score B":                 `score: expected BUNDLE FILE..., got ["B"]`,
		"score B a.png -o x.txt":  "x.txt: expected a name that ends in .csv",
		"score B a.png -o=":       ": expected a name that ends in .csv",
		"score B a.png --label x": `invalid value "x" for flag -label: expected a whole number`,
	} {
		if _, err := parse(strings.Fields(words)); err == nil || err.Error() != expected || exitCode(err) != 2 {
			t.Errorf("%s: expected %q, got %v", words, expected, err)
		}
	}
}

func TestAPartTakesALabelOrNone(t *testing.T) {
	label, three := aeonnx.Spec{Name: "class", Kind: "label", Range: []float64{0, 9}}, int64(3)
	ten, none, below := int64(10), int64(0), int64(-1)
	negative := aeonnx.Spec{Name: "class", Kind: "label", Range: []float64{-1, 9}}
	endless := aeonnx.Spec{Name: "class", Kind: "label"}
	for _, one := range []struct {
		inputs  []aeonnx.Spec
		label   *int64
		refused string
	}{
		{[]aeonnx.Spec{label}, &three, ""},
		{nil, nil, ""},
		{[]aeonnx.Spec{label}, nil, "this scorer needs --label, 0 to 9"},
		{[]aeonnx.Spec{endless}, nil, "this scorer needs --label"},
		{nil, &three, "this scorer takes no --label"},
		{[]aeonnx.Spec{label}, &ten, "--label: expected a whole number from 0 to 9, got 10"},
		{[]aeonnx.Spec{label}, &below, "--label: expected a whole number from 0 to 9, got -1"},
		{[]aeonnx.Spec{endless}, &ten, ""},
		{[]aeonnx.Spec{endless}, &none, ""},
		{[]aeonnx.Spec{endless}, &below, "--label: expected a whole number of 0 or more, got -1"},
		{[]aeonnx.Spec{negative}, &below, ""},
	} {
		part := &aeonnx.Part{Variant: &aeonnx.Variant{Inputs: one.inputs}}
		labels, err := command{label: one.label}.labels("scorer", part)
		if one.refused == "" && (err != nil || len(labels) != len(one.inputs)) {
			t.Error(labels, err)
		}
		if one.refused != "" && (err == nil || err.Error() != one.refused || exitCode(err) != 2) {
			t.Errorf("expected %q, got %v", one.refused, err)
		}
	}
}
