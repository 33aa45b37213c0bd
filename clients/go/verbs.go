package aeonnx

import (
	"fmt"
	"slices"
	"strings"
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
	return n.lacks(expected.String(), got.array())
}

// image is whether a tensor is pictures, of 1 to 4 channels.
func (n need) image(what string, spec Spec) error {
	if spec.Kind != "image" {
		return n.lacks(what+" of the kind image", spec.Name+" of "+spec.Kind)
	}
	if channels := spec.Shape[1]; channels.Axis != "" || channels.Factor > 4 {
		return n.lacks("images of 1 to 4 channels", spec.String())
	}
	return nil
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

// canDenoise is nil for a part that makes images of images: uint8, or float32 of a range.
func (v *Variant) canDenoise() error {
	n := need{"denoiser", "denoise"}
	if len(v.Inputs) != 1 {
		return n.lacks("1 input", fmt.Sprintf("%d: %s", len(v.Inputs), strings.Join(namesOf(v.Inputs), ", ")))
	}
	input, output := v.Inputs[0], v.Outputs[0]
	if err := n.image("an input", input); err != nil {
		return err
	}
	if output.Kind != input.Kind || !slices.Equal(output.Shape, input.Shape) {
		return n.lacks(fmt.Sprintf("%s of the shape of %s, %s %v", output.Name, input.Name, input.Kind, input.Shape),
			fmt.Sprintf("%s %v", output.Kind, output.Shape))
	}
	dtype := "float32"
	if input.DType == "uint8" {
		dtype = "uint8"
	}
	for _, image := range []Spec{input, output} {
		if err := n.same(image, Spec{Name: image.Name, DType: dtype, Shape: image.Shape}); err != nil {
			return err
		}
		if err := n.pixels(image); err != nil {
			return err
		}
	}
	return nil
}

// canGenerate is nil for a part that makes images of a seed and of numbers; and of a canvas, which has
// their size, and of a label, perhaps.
func (v *Variant) canGenerate() error {
	n := need{"sampler", "generate"}
	output := named(v.Outputs, "image")
	if output == nil {
		return n.lacks("an output image", strings.Join(namesOf(v.Outputs), ", "))
	}
	if err := n.image("an output", *output); err != nil {
		return err
	}
	if err := n.same(*output, Spec{Name: "image", DType: "uint8", Shape: output.Shape}); err != nil {
		return err
	}
	seen := []string{}
	for _, spec := range v.Inputs {
		expected := Spec{Name: spec.Name, DType: "int64", Shape: Shape{output.Shape[0]}}
		switch spec.Kind {
		case "seed":
			expected.Shape = Shape{number(1)}
		case "canvas":
			expected.DType, expected.Shape = "uint8", slices.Delete(slices.Clone(output.Shape), 1, 2)
		}
		seen = append(seen, spec.Kind)
		if err := n.same(spec, expected); err != nil {
			return err
		}
	}
	slices.Sort(seen)
	switch strings.Join(seen, ", ") {
	case "index, seed", "canvas, index, seed", "index, label, seed", "canvas, index, label, seed":
		return nil
	}
	return n.lacks("inputs of the kinds seed and index, and at most a canvas and a label", strings.Join(seen, ", "))
}

// canScore is nil for a part that gives a score for each row of one array, which a label may come with.
func (v *Variant) canScore() error {
	n := need{"scorer", "score"}
	output := ofKind(v.Outputs, "score")
	if output == nil {
		return n.lacks("an output of the kind score", strings.Join(namesOf(v.Outputs), ", "))
	}
	if err := n.same(*output, Spec{Name: output.Name, DType: "float32", Shape: output.Shape}); err != nil {
		return err
	}
	input := v.Inputs[0]
	if !slices.Contains([]string{"image", "signal", "volume", "vector", "other"}, input.Kind) {
		return n.lacks("an input of the kind image, signal, volume, vector or other", input.Name+" of "+input.Kind)
	}
	expected := Spec{Name: input.Name, DType: "float32", Shape: append(slices.Clone(output.Shape), input.Shape[1:]...)}
	if input.DType == "uint8" {
		expected.DType = "uint8"
	}
	if err := n.same(input, expected); err != nil {
		return err
	}
	more := v.Inputs[1:]
	if len(more) > 1 || len(more) == 1 && more[0].Kind != "label" {
		return n.lacks("a label at most beside "+input.Name, strings.Join(namesOf(more), ", "))
	}
	if len(more) == 1 {
		return n.same(more[0], Spec{Name: more[0].Name, DType: "int64", Shape: output.Shape})
	}
	return nil
}

// scoresPictures is whether pixels can stand for what a part that can score takes.
func (v *Variant) scoresPictures() bool {
	n, input := need{"scorer", "score"}, v.Inputs[0]
	return n.image("an input", input) == nil && n.pixels(input) == nil
}

func named(specs []Spec, name string) *Spec {
	return first(specs, func(spec Spec) bool { return spec.Name == name })
}

func ofKind(specs []Spec, kind string) *Spec {
	return first(specs, func(spec Spec) bool { return spec.Kind == kind })
}

func first(specs []Spec, is func(Spec) bool) *Spec {
	if at := slices.IndexFunc(specs, is); at >= 0 {
		return &specs[at]
	}
	return nil
}
