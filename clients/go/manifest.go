package aeonnx

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
)

// Batch stands in a shape where any number of rows goes.
const Batch = -1

// A Manifest is what manifest.json says of a bundle, as far as it is used here.
type Manifest struct {
	Model      string
	InputShape []int64                        // [C, H, W] of an image
	Parts      map[string]map[string]*Variant // by part and variant: "decoder", "fp32-uint8"
}

// A Variant is what the manifest says of one graph.
type Variant struct {
	File, SHA256    string
	Bytes           int64 // of the file
	Opset           int64
	MinOnnxruntime  string // such as "1.14"
	Inputs, Outputs []Spec
	GoldenInputs    map[string]Stored // one for each of Inputs
	GoldenOutputs   map[string]Stored // one for each of Outputs
}

// A Spec is what a graph takes or gives.
type Spec struct {
	Name, DType string
	Shape       []int64   // such as {Batch, 1, 28, 28}
	Range       []float64 // lowest and highest value; nil if any may come
}

// Row is the shape of one row, such as {1, 28, 28}.
func (s Spec) Row() []int64 { return s.Shape[min(1, len(s.Shape)):] }

// A Stored array is a golden vector in a file: little-endian, row-major.
type Stored struct {
	File, SHA256, DType string
	Shape               []int64
	Tolerance           []float64 // of an output, for each row: the largest difference that is right
}

const newest = 1 // version of the format

var (
	widths = map[string]int64{"float16": 2, "float32": 4, "float64": 8, "int64": 8, "uint8": 1}
	names  = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	digest = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// ParseManifest reads a manifest: what is used is checked, the rest is skipped. The error names
// the field, what was expected and what came.
func ParseManifest(text []byte) (*Manifest, error) {
	document, err := parseJSON(text)
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	c, top := checker{}, field{"the manifest", document}
	c.object(top)
	c.expect(c.text(top.at("format")) == "aeonnx-bundle", top.at("format"), `"aeonnx-bundle"`)
	if version := c.size(top.at("version")); c.err == nil && version > newest {
		return nil, fmt.Errorf("version %d is newer than this program, which reads %d: "+
			"take a newer one", version, newest)
	}
	manifest := &Manifest{Model: c.text(top.at("model"))}
	manifest.InputShape = listOf(&c, top.at("input_shape"), c.size)
	c.expect(len(manifest.InputShape) == 3, top.at("input_shape"), "[C, H, W]")
	manifest.Parts = mapOf(&c, top.at("parts"), func(part field) map[string]*Variant {
		c.object(part.at("fp32"))
		return mapOf(&c, part, c.variant)
	})
	if c.err == nil && len(manifest.Parts) == 0 {
		return nil, errors.New("parts: expected at least one part")
	}
	if c.err == nil {
		c.err = requireFinite(document) // of what is not read as well
	}
	return manifest, c.err
}

func (c *checker) variant(f field) *Variant {
	c.object(f)
	v := &Variant{
		File:           c.file(f.at("file")),
		SHA256:         c.digest(f.at("sha256")),
		Bytes:          c.size(f.at("bytes")),
		Opset:          c.size(f.at("opset")),
		MinOnnxruntime: c.text(f.at("min_onnxruntime")),
		Inputs:         listOf(c, f.at("inputs"), c.spec),
		Outputs:        listOf(c, f.at("outputs"), c.spec),
		GoldenInputs:   mapOf(c, f.at("golden").at("inputs"), c.stored),
		GoldenOutputs:  mapOf(c, f.at("golden").at("outputs"), c.compared),
	}
	c.expect(v.Bytes <= maxBytes, f.at("bytes"), fmt.Sprintf("at most %d", maxBytes))
	c.expect(len(v.Inputs) > 0, f.at("inputs"), "at least one")
	c.expect(len(v.Outputs) > 0, f.at("outputs"), "at least one")
	c.sameNames(f.at("golden").at("inputs"), v.Inputs, v.GoldenInputs)
	c.sameNames(f.at("golden").at("outputs"), v.Outputs, v.GoldenOutputs)
	return v
}

func (c *checker) spec(f field) Spec {
	c.object(f)
	shape := listOf(c, f.at("shape"), func(size field) int64 {
		if size.value == "batch" {
			return Batch
		}
		return c.size(size)
	})
	spec := Spec{Name: c.text(f.at("name")), DType: c.text(f.at("dtype")), Shape: shape}
	if limits := f.at("range"); limits.value != nil && limits.value != (nothing{}) {
		spec.Range = listOf(c, limits, c.number)
		c.expect(len(spec.Range) == 2, limits, "the lowest and the highest value")
	}
	c.expect(names.MatchString(spec.Name), f.at("name"), "a name in lower case")
	c.fits(f, spec.DType, spec.Shape)
	return spec
}

func (c *checker) stored(f field) Stored {
	c.object(f)
	stored := Stored{
		File:   c.file(f.at("file")),
		SHA256: c.digest(f.at("sha256")),
		DType:  c.text(f.at("dtype")),
		Shape:  listOf(c, f.at("shape"), c.size),
	}
	c.fits(f, stored.DType, stored.Shape)
	return stored
}

func (c *checker) compared(f field) Stored {
	stored := c.stored(f)
	c.expect(len(stored.Shape) > 0, f.at("shape"), "at least one size")
	if c.err == nil {
		stored.Tolerance = c.tolerances(f.at("tolerance"), stored.Shape[0])
	}
	return stored
}

func (c *checker) tolerances(f field, rows int64) []float64 {
	values, _ := f.value.([]any)
	c.expect(int64(len(values)) == rows, f, fmt.Sprintf("%d numbers above 0", rows))
	tolerances := make([]float64, len(values))
	for i, value := range values {
		number, _ := value.(json.Number)
		tolerance, err := number.Float64() // an infinite one is an error
		if err != nil || tolerance <= 0 {
			c.expect(false, field{fmt.Sprintf("%s[%d]", f.path, i), value}, "a number above 0")
			break
		}
		tolerances[i] = tolerance
	}
	return tolerances
}

func (c *checker) sameNames(f field, specs []Spec, golden map[string]Stored) {
	expected := make([]string, len(specs))
	for i, spec := range specs {
		expected[i] = spec.Name
	}
	slices.Sort(expected)
	same := slices.Equal(expected, slices.Sorted(maps.Keys(golden)))
	c.expect(same, f, "an array for each tensor of the graph")
}

func (c *checker) fits(f field, dtype string, shape []int64) {
	c.expect(widths[dtype] > 0, f.at("dtype"), "one of "+keys(widths))
	_, fits := bytesOf(dtype, shape)
	c.expect(fits, field{f.at("shape").path, inWords(shape)}, "a size in bytes of at most 63 bits")
}

// bytesOf is the size of an array, with one row where any number may go, if it fits 63 bits.
func bytesOf(dtype string, shape []int64) (size int64, fits bool) {
	size = max(widths[dtype], 1)
	for _, count := range shape {
		count = max(count, 1)
		if size > math.MaxInt64/count {
			return 0, false
		}
		size *= count
	}
	return size, true
}
