package aeonnx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Batch stands in a shape where any number of rows goes.
const Batch = -1

// A Manifest is what manifest.json says of a bundle, as far as it is used here.
type Manifest struct {
	Model string
	Parts map[string]map[string]*Variant // by part and variant: "decoder", "fp32-uint8"
}

// A Variant is what the manifest says of one graph.
type Variant struct {
	File, SHA256    string
	Opset           json.Number
	MinOnnxruntime  string // such as "1.14"
	Inputs, Outputs []Spec
	GoldenInputs    map[string]Stored // one for each of Inputs
	GoldenOutputs   map[string]Stored // one for each of Outputs
}

// A Spec is what a graph takes or gives.
type Spec struct {
	Name, DType string
	Shape       []int64 // such as {Batch, 1, 28, 28}
}

// Row is the shape of one row, such as {1, 28, 28}.
func (s Spec) Row() []int64 { return s.Shape[min(1, len(s.Shape)):] }

// A Stored array is a golden vector in a file: little-endian, row-major.
type Stored struct {
	File, SHA256, DType string
	Shape               []int64
	Tolerance           float64 // of an output: the largest difference that is right
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
	manifest.Parts = mapOf(&c, top.at("parts"), func(part field) map[string]*Variant {
		return mapOf(&c, part, c.variant)
	})
	return manifest, c.err
}

// parseJSON keeps numbers as they are written: sizes need all 64 bits. Of two fields of one name
// the last counts, as in Python.
func parseJSON(text []byte) (value any, err error) {
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8") // which encoding/json would replace
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err = decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err = decoder.Token(); err != io.EOF {
		return nil, errors.New("something follows its end")
	}
	return value, nil
}

func (c *checker) variant(f field) *Variant {
	c.object(f)
	v := &Variant{
		File:           c.file(f.at("file")),
		SHA256:         c.digest(f.at("sha256")),
		Opset:          c.number(f.at("opset")),
		MinOnnxruntime: c.text(f.at("min_onnxruntime")),
		Inputs:         listOf(c, f.at("inputs"), c.spec),
		Outputs:        listOf(c, f.at("outputs"), c.spec),
		GoldenInputs:   mapOf(c, f.at("golden").at("inputs"), c.stored),
		GoldenOutputs:  mapOf(c, f.at("golden").at("outputs"), c.compared),
	}
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
	tolerance, err := c.number(f.at("tolerance")).Float64()
	c.expect(err == nil && tolerance >= 0, f.at("tolerance"), "a number of 0 or more")
	stored.Tolerance = tolerance
	return stored
}

func (c *checker) sameNames(f field, specs []Spec, golden map[string]Stored) {
	expected := make([]string, len(specs))
	for i, spec := range specs {
		expected[i] = spec.Name
	}
	slices.Sort(expected)
	same := len(specs) > 0 && slices.Equal(expected, slices.Sorted(maps.Keys(golden)))
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

// A field is a value of the manifest, and how to call it.
type field struct {
	path  string
	value any
}

type nothing struct{} // the value of a field that is not there

func (f field) at(name string) field {
	path := strings.TrimPrefix(f.path+"."+name, "the manifest.")
	object, _ := f.value.(map[string]any)
	if value, there := object[name]; there {
		return field{path, value}
	}
	return field{path, nothing{}}
}

// String quotes no objects and lists: they can be as large as the file.
func (f field) String() string {
	switch value := f.value.(type) {
	case nothing:
		return "nothing"
	case nil:
		return "null"
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		return fmt.Sprintf("%.80q", value)
	default:
		return fmt.Sprintf("%.80v", value)
	}
}

// A checker takes values out of fields, and keeps the first error. After one, what it gives is
// empty or wrong, and is not to be used.
type checker struct{ err error }

func (c *checker) expect(good bool, f field, expected string) {
	if !good && c.err == nil {
		c.err = fmt.Errorf("%s: expected %s, got %v", f.path, expected, f)
	}
}

func (c *checker) object(f field) map[string]any {
	value, good := f.value.(map[string]any)
	c.expect(good, f, "an object")
	return value
}

func (c *checker) text(f field) string {
	value, good := f.value.(string)
	c.expect(good, f, "a text")
	return value
}

func (c *checker) number(f field) json.Number {
	value, good := f.value.(json.Number)
	c.expect(good, f, "a number")
	return value
}

func (c *checker) size(f field) int64 {
	number, _ := f.value.(json.Number)
	value, err := strconv.ParseInt(number.String(), 10, 64)
	c.expect(err == nil && value > 0, f, "a whole number above 0")
	return value
}

func (c *checker) digest(f field) string {
	value := c.text(f)
	c.expect(digest.MatchString(value), f, "64 hex digits")
	return value
}

func (c *checker) file(f field) string {
	value := c.text(f)
	inside := filepath.IsLocal(value) && !strings.Contains(value, `\`) &&
		!slices.Contains(strings.Split(value, "/"), "..")
	c.expect(inside, f, "a path inside the bundle")
	// Line ends would break the lines of messages.
	unseen := func(r rune) bool { return !unicode.IsGraphic(r) }
	c.expect(!strings.ContainsFunc(value, unseen), f, "a path without control characters")
	return value
}

func listOf[T any](c *checker, f field, read func(field) T) []T {
	values, good := f.value.([]any)
	c.expect(good, f, "a list")
	found := make([]T, len(values))
	for i, value := range values {
		found[i] = read(field{fmt.Sprintf("%s[%d]", f.path, i), value})
	}
	return found
}

func mapOf[T any](c *checker, f field, read func(field) T) map[string]T {
	found := map[string]T{}
	for _, name := range slices.Sorted(maps.Keys(c.object(f))) {
		c.expect(names.MatchString(name), field{f.path, name}, "names in lower case")
		found[name] = read(f.at(name))
	}
	return found
}

// keys is the keys of a map in words.
func keys[T any](values map[string]T) string {
	return strings.Join(slices.Sorted(maps.Keys(values)), ", ")
}
