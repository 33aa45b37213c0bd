package aeonnx

import (
	"fmt"
	"slices"
)

// A need is what a verb asks of a part, by the manifest.
type need struct{ part, verb string }

func (n need) lacks(expected, got string) error {
	return fmt.Errorf("this bundle's %s cannot %s: expected %s, got %s", n.part, n.verb, expected, got)
}

// same compares a tensor with what the verb takes or gives.
func (n need) same(got, expected Spec) error {
	if got.DType == expected.DType && slices.Equal(got.Shape, expected.Shape) {
		return nil
	}
	return n.lacks(expected.String(), got.DType+" "+inWords(got.Shape))
}

// pixels is whether they can stand for the values of an image.
func (n need) pixels(image Spec) error {
	if image.DType == "uint8" || holdsPixels(image.Range) {
		return nil
	}
	got := "one of any range"
	if image.Range != nil {
		got = fmt.Sprintf("one in [%g, %g]", image.Range[0], image.Range[1])
	}
	return n.lacks(image.String()+" in a range [low, high] whose width is a float32 above 0",
		got+": export it with such a range, or take its floats with the library's run")
}

// images is whether pictures can be made of a shape.
func (n need) images(shape []int64) error {
	if shape[0] > 4 {
		return n.lacks("images of 1 to 4 channels", inWords(shape))
	}
	return nil
}

// rows is whether all outputs have the same number of them.
func (n need) rows(v *Variant, rows int64) error {
	for _, spec := range v.Outputs {
		if len(spec.Shape) == 0 || spec.Shape[0] != rows {
			return n.same(spec, Spec{Name: spec.Name, DType: spec.DType, Shape: spec.shapeOf(rows)})
		}
	}
	return nil
}

// canDenoise is nil for a part that makes images of images: uint8, or float32 of a range.
func (v *Variant) canDenoise(image []int64) error {
	n := need{"denoiser", "denoise"}
	if err := n.images(image); err != nil {
		return err
	}
	if len(v.Inputs) != 1 {
		return n.lacks("1 input", fmt.Sprint(len(v.Inputs)))
	}
	input, output := v.Inputs[0], v.Outputs[0]
	rows := int64(Batch)
	if len(input.Shape) > 0 {
		rows = input.Shape[0]
	}
	expected := Spec{Name: input.Name, DType: "uint8", Shape: append([]int64{rows}, image...)}
	if input.DType != "uint8" {
		expected.DType = "float32"
	}
	for _, image := range []Spec{input, output} {
		expected.Name = image.Name
		if err := n.same(image, expected); err != nil {
			return err
		}
		if err := n.pixels(image); err != nil {
			return err
		}
	}
	return n.rows(v, rows)
}

// canGenerate is nil for a part that makes images of a seed and of numbers.
func (v *Variant) canGenerate(image []int64) error {
	n := need{"sampler", "generate"}
	if err := n.images(image); err != nil {
		return err
	}
	if len(v.Inputs) != 2 {
		return n.lacks("the inputs seed and index", fmt.Sprint(namesOf(v.Inputs)))
	}
	rows := int64(Batch)
	if index := named(v.Inputs, "index"); index != nil && len(index.Shape) > 0 {
		rows = index.Shape[0]
	}
	for _, wanted := range []struct {
		among    []Spec
		expected Spec
	}{
		{v.Inputs, Spec{Name: "seed", DType: "int64", Shape: []int64{1}}},
		{v.Inputs, Spec{Name: "index", DType: "int64", Shape: []int64{rows}}},
		{v.Outputs, Spec{Name: "image", DType: "uint8", Shape: append([]int64{rows}, image...)}},
	} {
		got := named(wanted.among, wanted.expected.Name)
		if got == nil {
			return n.lacks(wanted.expected.String(), "none")
		}
		if err := n.same(*got, wanted.expected); err != nil {
			return err
		}
	}
	return n.rows(v, rows)
}

func named(specs []Spec, name string) *Spec {
	if at := slices.IndexFunc(specs, func(spec Spec) bool { return spec.Name == name }); at >= 0 {
		return &specs[at]
	}
	return nil
}
