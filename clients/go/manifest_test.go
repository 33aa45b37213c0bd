package aeonnx

import (
	"strings"
	"testing"
)

// A manifest of a denoiser of two sizes, whose pieces tests replace.
const sound = `{"format": "aeonnx-bundle", "version": 2, "model": "m", "parts": {"denoiser": {"fp32": {
	"file": "d.onnx", "sha256": "DIGEST", "bytes": 9, "opset": 18, "min_onnxruntime": "1.14", "percentiles": {},
	"inputs": [
		{"name": "x", "dtype": "float32", "kind": "image", "range": [0, 1], "shape": ["batch", 1, "height", "width"]},
		{"name": "sigma", "dtype": "float32", "kind": "other", "range": null, "shape": ["batch"]}],
	"outputs": [{"name": "z", "dtype": "int32", "kind": "codes", "range": null, "shape": ["batch", "height/4", "width"]}],
	"axes": {
		"batch": {"multiple": 1, "min": 1, "max": null, "margin": 0},
		"height": {"multiple": 8, "min": 16, "max": 64, "margin": null},
		"width": {"multiple": 1, "min": 2, "max": null, "margin": 3}},
	"golden": [
		{"inputs": {"x": {"file": "x", "sha256": "DIGEST", "dtype": "float32", "shape": [2, 1, 16, 5]},
			"sigma": {"file": "s", "sha256": "DIGEST", "dtype": "float32", "shape": [2]}},
		"outputs": {"z": {"file": "z", "sha256": "DIGEST", "dtype": "int32", "shape": [2, 4, 5], "tolerance": [1, 1]}}},
		{"inputs": {"x": {"file": "x", "sha256": "DIGEST", "dtype": "float32", "shape": [1, 1, 24, 2]},
			"sigma": {"file": "s", "sha256": "DIGEST", "dtype": "float32", "shape": [1]}},
		"outputs": {"z": {"file": "z", "sha256": "DIGEST", "dtype": "int32", "shape": [1, 6, 2], "tolerance": [1]}}}]
}}}}`

func parsed(changes ...string) (*Manifest, error) {
	digest := strings.Repeat("0a", 32)
	return ParseManifest([]byte(strings.NewReplacer("DIGEST", digest).Replace(strings.NewReplacer(changes...).Replace(sound))))
}

func TestASoundManifestIsRead(t *testing.T) {
	manifest, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	v := manifest.Parts["denoiser"]["fp32"]
	if len(v.Golden) != 2 || v.Axes["height"] != (Axis{8, 16, 64, -1}) || v.Axes["width"] != (Axis{1, 2, 0, 3}) {
		t.Errorf("%+v", v)
	}
	if got := v.Outputs[0].String(); got != "z int32 [batch, height/4, width]" {
		t.Error(got)
	}
	if !v.hasRows(v.Inputs[1]) || v.batch() != 0 {
		t.Error("sigma has rows, and any number of them")
	}
}

func TestValuesMayBeMissingAmongFloats(t *testing.T) {
	const of = "parts.denoiser.fp32.inputs[1].missing: expected "
	sigma := func(missing string) []string {
		return []string{`"kind": "other", "range": null,`, `"kind": "other", "range": null, "missing": ` + missing + `,`}
	}
	for text, expected := range map[string]bool{"true": true, "false": false} {
		manifest, err := parsed(sigma(text)...)
		if err != nil || manifest.Parts["denoiser"]["fp32"].Inputs[1].Missing != expected {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, got := range map[string]string{"1": "1", `"true"`: `"true"`, "null": "null", "[true]": "a list of 1"} {
		if _, err := parsed(sigma(text)...); err == nil || err.Error() != of+"true or false, got "+got {
			t.Errorf("%s: %v", text, err)
		}
	}
	integers := append(sigma("true"), `"sigma", "dtype": "float32"`, `"sigma", "dtype": "int64"`)
	if _, err := parsed(integers...); err == nil || err.Error() != of+"floats, which have NaN, got int64" {
		t.Error(err)
	}
}

func TestAnotherVersionIsRefused(t *testing.T) {
	for version, expected := range map[string]string{
		"1": "version 1 is older than this program, which reads 2: export the bundle again",
		"3": "version 3 is newer than this program, which reads 2: take a newer one",
	} {
		if _, err := parsed(`"version": 2`, `"version": `+version); err == nil || err.Error() != expected {
			t.Error(err)
		}
	}
}

func TestFieldsOfAManifestBelongTogether(t *testing.T) {
	const variant = "parts.denoiser.fp32."
	for _, one := range []struct{ was, is, refused string }{
		{`"kind": "image"`, `"kind": "picture"`, `inputs[0].kind: expected one of canvas, codes, image,`},
		{`"kind": "image"`, `"kind": "canvas"`,
			"inputs[0].shape: expected 3 sizes of the kind canvas, got [batch, 1, height, width]"},
		{`"kind": "image", `, ``, "inputs[0].kind: expected a text, got nothing"},
		{`"kind": "image"`, `"kind": "signal"`,
			"inputs[0].shape: expected 3 sizes of the kind signal, got [batch, 1, height, width]"},
		{`"range": [0, 1], `, ``, "inputs[0].range: expected a list, got nothing"},
		{`"name": "sigma"`, `"name": "x"`, "inputs: expected distinct names, got [x x]"},
		{`"height/4", "width"]`, `"height/0", "width"]`, `outputs[0].shape[1]: expected a size above 0, "batch", or an axis`},
		{`"height/4", "width"]`, `0, "width"]`, "outputs[0].shape[1]: expected a whole number from 1 on, of at most 53 bits, got 0"},
		{`"height/4", "width"]`, `"batch", "width"]`, `outputs[0].shape: expected "batch" for the first size alone, got a list of 3`},
		{`"height/4", "width"]`, `"batch/2", "width"]`, "outputs[0].shape[1]: expected a size above 0"},
		{`"height/4", "width"]`, `"height/5", "width"]`,
			"axes.height.multiple: expected a multiple of 5, by which height/5 divides it, got 8"},
		{`"height/4", "width"]`, `"height/4", "depth"]`, "axes: expected [batch depth height width], those of the tensors, got [batch, height, width]"},
		{`"height/4", "width"]`, `9007199254740991, "width"]`, "outputs[0].shape: expected fewer than 2^50 values, got [batch, 9007199254740991, width]"},
		{`["batch"]`, `["length"]`, "axes: expected [batch height length width], those of the tensors"},
		{`"z", "dtype": "int32", "kind": "codes", "range": null, "shape": ["batch"`, `"z", "dtype": "int32", "kind": "codes", "range": null, "shape": ["height"`,
			`outputs: expected a number of rows or "batch" for the first size, got height`},
		{`"z", "dtype": "int32", "kind": "codes", "range": null, "shape": ["batch"`, `"z", "dtype": "int32", "kind": "codes", "range": null, "shape": [3`,
			"inputs: expected one with the first size 3, as the outputs have it, got [x sigma]"},
		{`"multiple": 8, "min": 16`, `"multiple": 8, "min": 20`, "axes.height.min: expected a multiple of 8, got 20"},
		{`"max": 64`, `"max": 60`, "axes.height.max: expected a multiple of 8, got 60"},
		{`"max": 64`, `"max": 8`, "axes.height.max: expected at least 16, min, got 8"},
		{`"max": 64`, `"max": 0`, "axes.height.max: expected a whole number from 1 on, of at most 53 bits, got 0"},
		{`"max": 64, `, ``, "axes.height.max: expected a whole number from 1 on, of at most 53 bits, got nothing"},
		{`"margin": 3`, `"margin": -1`, "axes.width.margin: expected a whole number from 0 on, of at most 53 bits, got -1"},
		{`"margin": 3`, `"margin": 9007199254740992`, "axes.width.margin: expected a whole number from 0 on"},
		{`"multiple": 8`, `"multiple": 0`, "axes.height.multiple: expected a whole number from 1 on"},
		{`[2, 1, 16, 5]`, `[2, 1, 20, 5]`,
			"golden[0].inputs.x: height: expected a multiple of 8 from 16 to 64, got 20: the nearest is 24"},
		{`[2, 1, 16, 5]`, `[2, 3, 16, 5]`, "golden[0].inputs.x: expected [batch, 1, height, width], got [2, 3, 16, 5]"},
		{`[2, 1, 16, 5]`, `[2, 1, 16]`, "golden[0].inputs.x: expected [batch, 1, height, width], got [2, 1, 16]"},
		{`[2, 1, 16, 5]`, `[9007199254740991, 1, 16, 5]`, "golden[0].inputs.x.shape: expected at most 2147483648 bytes, got [9007199254740991, 1, 16, 5]"},
		{`"shape": [1]`, `"shape": [2]`, "golden[1].inputs.batch: expected one size in all inputs, got 1 in x and 2 in sigma"},
		{`[1, 6, 2]`, `[1, 5, 2]`, "golden[1].outputs.z: expected int32 [1, 6, 2], got int32 [1, 5, 2]"},
		{`"dtype": "int32", "shape": [1`, `"dtype": "int64", "shape": [1`, "golden[1].outputs.z: expected int32 [1, 6, 2], got int64 [1, 6, 2]"},
		{`"dtype": "int32", "shape": [1`, `"dtype": "int16", "shape": [1`, "golden[1].outputs.z.dtype: expected one of bool, float16,"},
		{`"tolerance": [1, 1]`, `"tolerance": 0.5`, "golden[0].outputs.z.tolerance: expected 2 numbers above 0, got 0.5"},
		{`"tolerance": [1, 1]`, `"tolerance": [1, 0]`, "golden[0].outputs.z.tolerance[1]: expected a number above 0, got 0"},
		{`"outputs": {"z"`, `"outputs": {"y"`, "golden[0].outputs: expected an array for each tensor of the graph, [z], got [y]"},
		{`"golden": [`, `"golden": [], "old": [`, "golden: expected at least one set of vectors, got a list of 0"},
		{`"golden": [`, `"golden": {}, "old": [`, "golden: expected a list, got an object"},
	} {
		_, err := parsed(one.was, one.is)
		if err == nil || !strings.HasPrefix(err.Error(), variant+one.refused) {
			t.Errorf("%s: expected %q, got %v", one.is, one.refused, err)
		}
	}
}

// The sizes of outputs must follow from the inputs, whatever else there is.
func TestOutputsBelongToTheInputs(t *testing.T) {
	const variant, output = "parts.denoiser.fp32.", `{"name": "z", "dtype": "int32", "kind": "codes", "range": null, "shape": ["batch"`
	for _, one := range []struct {
		changes []string
		refused string
	}{
		{[]string{`"height/4", "width"]`, `"height/4", "depth"]`, `"width": {`, `"depth": {"multiple": 1, "min": 1, "max": null, "margin": 0}, "width": {`},
			"outputs: expected sizes that follow axes of the inputs, [batch, height, width], got [batch depth height width]"},
		{[]string{output, `{"name": "y", "dtype": "uint8", "kind": "mask", "range": null, "shape": ["batch"]}, {"name": "z", "dtype": "int32", "kind": "codes", "range": null, "shape": [3`},
			"outputs: expected the first size batch in all, got z int32 [3, height/4, width]"},
		{[]string{`"batch", 1, "height"`, `4, 1, "height"`, `"shape": ["batch"]`, `"shape": [4]`, `["batch", "height/4"`, `[4, "height/4"`,
			`"batch": {"multiple": 1, "min": 1, "max": null, "margin": 0},`, ``},
			"golden[0].inputs: expected batches of 4 rows, got 2 rows"},
	} {
		if _, err := parsed(one.changes...); err == nil || err.Error() != variant+one.refused {
			t.Errorf("expected %q, got %v", one.refused, err)
		}
	}
}

func TestAFixedBatchAndASeedHaveTheirRows(t *testing.T) {
	v := &Variant{
		Inputs: []Spec{
			{Name: "seed", Kind: "seed", Shape: shapeOf(1)}, {Name: "index", Kind: "index", Shape: shapeOf(1)},
			{Name: "table", Kind: "other", Shape: shapeOf(7, 2)},
		},
		Outputs: []Spec{{Name: "image", Kind: "image", Shape: shapeOf(1, 3, 8, 8)}},
	}
	rows := []bool{}
	for _, spec := range v.Inputs {
		rows = append(rows, v.hasRows(spec))
	}
	if v.batch() != 1 || rows[0] || !rows[1] || rows[2] {
		t.Error(v.batch(), rows)
	}
	if got := v.takes(v.Inputs[1]).String(); got != "[batch]" {
		t.Error(got)
	}
}
