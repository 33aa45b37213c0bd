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
	if got.DType == expected.DType && slices.Equal(got.Shape, expected.Shape) &&
		(expected.Range == nil || slices.Equal(got.Range, expected.Range)) {
		return nil
	}
	want, have := expected.String(), got.DType+" "+inWords(got.Shape)
	if expected.Range != nil && !slices.Equal(got.Range, expected.Range) {
		want, have = want+" from 0 to 1", have+" "+between(got.Range)
	}
	return n.lacks(want, have)
}

func between(limits []float64) string {
	if limits == nil {
		return "of any value"
	}
	return fmt.Sprintf("from %g to %g", limits[0], limits[1])
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

// canDenoise is nil for a part that makes images of images: uint8, or float32 from 0 to 1.
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
		expected.DType, expected.Range = "float32", []float64{0, 1}
	}
	if err := n.same(input, expected); err != nil {
		return err
	}
	expected.Name = output.Name
	if err := n.same(output, expected); err != nil {
		return err
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
