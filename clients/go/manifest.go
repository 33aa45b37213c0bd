package aeonnx

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A Manifest is what manifest.json says of a bundle, as far as it is used here.
type Manifest struct {
	Model string
	Parts map[string]map[string]*Variant // by part and variant: "decoder", "fp32-uint8"
}

// A Variant is what the manifest says of one graph.
type Variant struct {
	File, SHA256    string
	Bytes           int64 // of the file
	Opset           int64
	MinOnnxruntime  string // such as "1.14"
	Inputs, Outputs []Spec
	Axes            map[string]Axis               // of the inputs, by name
	Golden          []StoredGolden                // at least one, each at other sizes of the axes
	Percentiles     map[string]map[string]float64 // thresholds of outputs, by output and name, such as "p99"
	Normal          map[string]Quantiles          // what normal rows score, by some of these outputs
}

// A Spec is what a graph takes or gives.
type Spec struct {
	Name, DType string
	Kind        string // such as "image", "latent" or "seed"
	Shape       Shape
	Range       []float64 // lowest and highest value; nil if any may come
	Missing     bool      // whether NaN stands for a missing value; else values are finite
}

// A StoredGolden is where golden vectors are, one for each of the inputs and outputs, by name.
type StoredGolden struct{ Inputs, Outputs map[string]Stored }

// A Stored array is a golden vector in a file: little-endian, row-major.
type Stored struct {
	File, SHA256, DType string
	Shape               []int64
	Tolerance           []float64 // of an output, for each row: the largest difference that is right
}

const version = 2 // of the format

var (
	widths = map[string]int64{
		"bool": 1, "float16": 2, "float32": 4, "float64": 8, "int32": 4, "int64": 8, "uint8": 1,
	}
	// The kinds, and how many axes their tensors have; 0 for any number.
	kinds = map[string]int{
		"canvas": 3, "codes": 0, "image": 4, "index": 1, "label": 0, "latent": 0, "mask": 0, "other": 0,
		"score": 1, "seed": 1, "signal": 3, "vector": 2, "volume": 5,
	}
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
	if got := c.size(top.at("version")); c.err == nil && got != version {
		age, remedy := "newer", "take a newer one"
		if got < version {
			age, remedy = "older", "export the bundle again"
		}
		return nil, fmt.Errorf("version %d is %s than this program, which reads %d: %s", got, age, version, remedy)
	}
	manifest := &Manifest{Model: c.text(top.at("model"))}
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
		Axes:           mapOf(c, f.at("axes"), c.axis),
		Golden:         listOf(c, f.at("golden"), c.golden),
		Percentiles:    mapOf(c, f.at("percentiles"), c.thresholds),
		Normal:         c.normal(f.at("normal")),
	}
	c.expect(v.Bytes <= maxBytes, f.at("bytes"), fmt.Sprintf("at most %d", maxBytes))
	c.expect(len(v.Inputs) > 0, f.at("inputs"), "at least one")
	c.expect(len(v.Outputs) > 0, f.at("outputs"), "at least one")
	c.expect(len(v.Golden) > 0, f.at("golden"), "at least one set of vectors")
	c.together(f, v)
	return v
}

func (c *checker) spec(f field) Spec {
	c.object(f)
	spec := Spec{Name: c.text(f.at("name")), DType: c.dtype(f.at("dtype")), Kind: c.text(f.at("kind"))}
	spec.Shape = listOf(c, f.at("shape"), c.dimension)
	spec.Missing = c.flag(f.at("missing"))
	c.require(!spec.Missing || strings.HasPrefix(spec.DType, "float"), f.at("missing").path,
		"floats, which have NaN", spec.DType)
	axes, known := kinds[spec.Kind]
	c.expect(known, f.at("kind"), "one of "+keys(kinds))
	c.expect(len(spec.Shape) > 0, f.at("shape"), "at least one size")
	for _, size := range spec.Shape[min(1, len(spec.Shape)):] {
		c.expect(size.Axis != Batch, f.at("shape"), `"batch" for the first size alone`)
	}
	c.require(axes == 0 || len(spec.Shape) == axes, f.at("shape").path,
		fmt.Sprintf("%d sizes of the kind %s", axes, spec.Kind), spec.Shape)
	if limits := f.at("range"); limits.value != nil {
		spec.Range = listOf(c, limits, c.number)
		c.expect(len(spec.Range) == 2, limits, "the lowest and the highest value")
	}
	c.expect(names.MatchString(spec.Name), f.at("name"), "a name in lower case")
	if c.err == nil {
		least := int64(1)
		for _, size := range spec.Shape {
			if size.Axis == "" {
				least = times(least, size.Factor)
			}
		}
		c.require(least < maxValues, f.at("shape").path, "fewer than 2^50 values", spec.Shape)
	}
	return spec
}

// dimension reads a size of a tensor. The axis of rows is never scaled.
func (c *checker) dimension(f field) Size {
	text, isText := f.value.(string)
	if !isText {
		return number(c.size(f))
	}
	size := sizeOf(text)
	good := size.Axis != "" && (size.Axis != Batch || text == Batch)
	c.expect(good, f, `a size above 0, "batch", or an axis such as "height" and "height/8"`)
	return size
}

func (c *checker) axis(f field) Axis {
	c.object(f)
	axis := Axis{Multiple: c.size(f.at("multiple")), Min: c.size(f.at("min")), Margin: -1}
	if most := f.at("max"); most.value != nil {
		axis.Max = c.size(most)
	}
	if margin := f.at("margin"); margin.value != nil {
		axis.Margin = c.whole(margin, 0)
	}
	if c.err == nil {
		multiple := fmt.Sprintf("a multiple of %d", axis.Multiple)
		c.expect(axis.Min%axis.Multiple == 0, f.at("min"), multiple)
		c.expect(axis.Max%axis.Multiple == 0, f.at("max"), multiple)
		c.expect(axis.Max == 0 || axis.Max >= axis.Min, f.at("max"), fmt.Sprintf("at least %d, min", axis.Min))
	}
	return axis
}

func (c *checker) golden(f field) StoredGolden {
	return StoredGolden{
		Inputs:  mapOf(c, f.at("inputs"), c.stored),
		Outputs: mapOf(c, f.at("outputs"), c.compared),
	}
}

func (c *checker) stored(f field) Stored {
	c.object(f)
	stored := Stored{
		File:   c.file(f.at("file")),
		SHA256: c.digest(f.at("sha256")),
		DType:  c.dtype(f.at("dtype")),
		Shape:  listOf(c, f.at("shape"), c.size),
	}
	most := fmt.Sprintf("at most %d bytes", maxBytes)
	c.require(bytesOf(stored.DType, stored.Shape) <= maxBytes, f.at("shape").path, most, inWords(stored.Shape))
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

func (c *checker) dtype(f field) string {
	value := c.text(f)
	c.expect(widths[value] > 0, f, "one of "+keys(widths))
	return value
}

const maxValues = 1 << 50 // of a row

// bytesOf is the size of an array; maxSize where it is that or more.
func bytesOf(dtype string, shape []int64) int64 {
	return times(product(shape), widths[dtype])
}
