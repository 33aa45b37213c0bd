package aeonnx

import "testing"

func picture(name, dtype string, sizes ...any) Spec {
	return Spec{Name: name, DType: dtype, Kind: "image", Shape: shapeOf(sizes...), Range: []float64{0, 1}}
}

func numbersOf(name, kind string, sizes ...any) Spec {
	return Spec{Name: name, DType: "int64", Kind: kind, Shape: shapeOf(sizes...)}
}

func scoreOf(name string, sizes ...any) Spec {
	return Spec{Name: name, DType: "float32", Kind: "score", Shape: shapeOf(sizes...)}
}

func vectorOf(name string, sizes ...any) Spec {
	return Spec{Name: name, DType: "float32", Kind: "vector", Shape: shapeOf(sizes...)}
}

func TestAVerbTakesWhatItCanUse(t *testing.T) {
	grey, colour := picture("x", "float32", "batch", 1, "h", "w"), picture("y", "float32", "batch", 3, "h", "w")
	signal := Spec{Name: "x", DType: "float32", Kind: "signal", Shape: shapeOf("batch", 1, "h")}
	seed, index := numbersOf("seed", "seed", 1), numbersOf("index", "index", "batch")
	label := numbersOf("class", "label", "batch")
	made, sized := picture("image", "uint8", "batch", 3, 8, 8), picture("image", "uint8", "batch", 3, "h", "2*w")
	canvasOf := func(name, dtype string, sizes ...any) Spec {
		return Spec{Name: name, DType: dtype, Kind: "canvas", Shape: shapeOf(sizes...)}
	}
	canvas := canvasOf("canvas", "uint8", "batch", "h", "2*w")
	loss, table := scoreOf("error", "batch"), vectorOf("x", "batch", 3)
	volume := Spec{Name: "x", DType: "uint8", Kind: "volume", Shape: shapeOf("batch", 1, 4, 4, 4)}
	const scorer = "this bundle's scorer cannot score: expected "
	const denoiser = "this bundle's denoiser cannot denoise: expected "
	const sampler = "this bundle's sampler cannot generate: expected "
	for _, one := range []struct {
		can             func(*Variant) error
		inputs, outputs []Spec
		refused         string
	}{
		{(*Variant).canDenoise, []Spec{grey}, []Spec{grey}, ""},
		{(*Variant).canDenoise, []Spec{signal}, []Spec{signal}, denoiser + "an input of the kind image, got x of signal"},
		{(*Variant).canDenoise, []Spec{grey}, []Spec{colour},
			denoiser + "y of the shape of x, image [batch, 1, h, w], got image [batch, 3, h, w]"},
		{(*Variant).canDenoise, []Spec{grey, {Name: "sigma"}}, []Spec{grey}, denoiser + "1 input, got 2: x, sigma"},
		{(*Variant).canDenoise, []Spec{picture("x", "float64", "batch", 1, 2, 2)}, []Spec{picture("x", "float64", "batch", 1, 2, 2)},
			denoiser + "x float32 [batch, 1, 2, 2], got float64 [batch, 1, 2, 2]"},
		{(*Variant).canDenoise, []Spec{picture("x", "uint8", "batch", 5, 2, 2)}, []Spec{grey},
			denoiser + "images of 1 to 4 channels, got x uint8 [batch, 5, 2, 2]"},
		{(*Variant).canDenoise, []Spec{picture("x", "uint8", "batch", "c", 2, 2)}, []Spec{grey},
			denoiser + "images of 1 to 4 channels, got x uint8 [batch, c, 2, 2]"},
		{(*Variant).canGenerate, []Spec{seed, index}, []Spec{made}, ""},
		{(*Variant).canGenerate, []Spec{index, label, seed}, []Spec{made}, ""},
		{(*Variant).canGenerate, []Spec{seed, index, label, numbersOf("l", "label", "batch")}, []Spec{made},
			sampler + "inputs of the kinds seed and index, and at most a canvas and a label, got index, label, label, seed"},
		{(*Variant).canGenerate, []Spec{index}, []Spec{made},
			sampler + "inputs of the kinds seed and index, and at most a canvas and a label, got index"},
		{(*Variant).canGenerate, []Spec{seed, index, canvas}, []Spec{sized}, ""},
		{(*Variant).canGenerate, []Spec{seed, index, canvas, label}, []Spec{sized}, ""},
		{(*Variant).canGenerate, []Spec{seed, index, canvasOf("size", "uint8", "batch", 8, 8)}, []Spec{made}, ""},
		{(*Variant).canGenerate, []Spec{seed, index, canvas, canvasOf("c", "uint8", "batch", "h", "2*w")}, []Spec{sized},
			sampler + "inputs of the kinds seed and index, and at most a canvas and a label, got canvas, canvas, index, seed"},
		{(*Variant).canGenerate, []Spec{seed, canvas}, []Spec{sized},
			sampler + "inputs of the kinds seed and index, and at most a canvas and a label, got canvas, seed"},
		{(*Variant).canGenerate, []Spec{seed, index, canvasOf("canvas", "int64", "batch", "h", "2*w")}, []Spec{sized},
			sampler + "canvas uint8 [batch, h, 2*w], got int64 [batch, h, 2*w]"},
		{(*Variant).canGenerate, []Spec{seed, index, canvasOf("canvas", "uint8", "batch", "2*w", "h")}, []Spec{sized},
			sampler + "canvas uint8 [batch, h, 2*w], got uint8 [batch, 2*w, h]"},
		{(*Variant).canGenerate, []Spec{seed, index, canvasOf("canvas", "uint8", 1, "h", "2*w")}, []Spec{sized},
			sampler + "canvas uint8 [batch, h, 2*w], got uint8 [1, h, 2*w]"},
		{(*Variant).canGenerate, []Spec{seed, index, canvasOf("canvas", "uint8", "batch", 3, "h", "2*w")}, []Spec{sized},
			sampler + "canvas uint8 [batch, h, 2*w], got uint8 [batch, 3, h, 2*w]"},
		{(*Variant).canGenerate, []Spec{seed, numbersOf("index", "index", 4)}, []Spec{made},
			sampler + "index int64 [batch], got int64 [4]"},
		{(*Variant).canGenerate, []Spec{numbersOf("seed", "seed", "batch"), index}, []Spec{made},
			sampler + "seed int64 [1], got int64 [batch]"},
		{(*Variant).canGenerate, []Spec{seed, index}, []Spec{picture("image", "float32", "batch", 1, 2, 2)},
			sampler + "image uint8 [batch, 1, 2, 2], got float32 [batch, 1, 2, 2]"},
		{(*Variant).canGenerate, []Spec{seed, index}, []Spec{grey}, sampler + "an output image, got x"},
		{(*Variant).canScore, []Spec{grey}, []Spec{grey, loss}, ""},
		{(*Variant).canScore, []Spec{table, label}, []Spec{loss, scoreOf("combined", "batch")}, ""},
		{(*Variant).canScore, []Spec{volume}, []Spec{loss}, ""},
		{(*Variant).canScore, []Spec{vectorOf("x", 8, 3), numbersOf("class", "label", 8)}, []Spec{scoreOf("error", 8)}, ""},
		{(*Variant).canScore, []Spec{grey}, []Spec{{Name: "reconstruction"}, {Name: "map"}},
			scorer + "an output of the kind score, got reconstruction, map"},
		{(*Variant).canScore, []Spec{grey}, []Spec{{Name: "error", DType: "float64", Kind: "score", Shape: shapeOf("batch")}},
			scorer + "error float32 [batch], got float64 [batch]"},
		{(*Variant).canScore, []Spec{label}, []Spec{loss},
			scorer + "an input of the kind image, signal, volume, vector or other, got class of label"},
		{(*Variant).canScore, []Spec{{Name: "x", DType: "float16", Kind: "vector", Shape: table.Shape}}, []Spec{loss},
			scorer + "x float32 [batch, 3], got float16 [batch, 3]"},
		{(*Variant).canScore, []Spec{vectorOf("x", 7, 3), label}, []Spec{loss},
			scorer + "x float32 [batch, 3], got float32 [7, 3]"},
		{(*Variant).canScore, []Spec{table, {Name: "sigma", Kind: "other"}}, []Spec{loss},
			scorer + "a label at most beside x, got sigma"},
		{(*Variant).canScore, []Spec{table, label, label}, []Spec{loss}, scorer + "a label at most beside x, got class, class"},
		{(*Variant).canScore, []Spec{table, numbersOf("class", "label", 4)}, []Spec{loss},
			scorer + "class int64 [batch], got int64 [4]"},
	} {
		err := one.can(&Variant{Inputs: one.inputs, Outputs: one.outputs})
		if one.refused == "" && err != nil || one.refused != "" && (err == nil || err.Error() != one.refused) {
			t.Errorf("expected %q, got %v", one.refused, err)
		}
	}
}
