package aeonnx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// parseJSON keeps numbers as they are written: sizes need all 53 bits. Of two fields of one name
// the last counts, as in Python.
func parseJSON(text []byte) (value any, err error) {
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8") // which encoding/json would replace
	}
	decoder := json.NewDecoder(bytes.NewReader(withoutHalves(text)))
	decoder.UseNumber()
	if err = decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err = decoder.Token(); err != io.EOF {
		return nil, errors.New("something follows its end")
	}
	return value, nil
}

// requireFinite refuses numbers such as 1e999, wherever they are.
func requireFinite(value any) error {
	switch value := value.(type) {
	case json.Number:
		// The reader of the field checks integers that no float can hold.
		if _, err := value.Float64(); err != nil && strings.ContainsAny(value.String(), ".eE") {
			return fmt.Errorf("expected finite numbers, got %.80s", value)
		}
	case []any:
		for _, item := range value {
			if err := requireFinite(item); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, item := range value {
			if err := requireFinite(item); err != nil {
				return err
			}
		}
	}
	return nil
}

// withoutHalves turns an unpaired surrogate, such as \ud800, into a control character, which no text
// may hold: encoding/json would replace it by a character that is allowed.
func withoutHalves(text []byte) []byte {
	text = bytes.Clone(text)
	escaped := func(at int) uint64 { // the code of \uXXXX; 0 for anything else
		if at+6 > len(text) || text[at] != '\\' || text[at+1] != 'u' {
			return 0
		}
		code, _ := strconv.ParseUint(string(text[at+2:at+6]), 16, 16)
		return code
	}
	for at := 0; at < len(text); at++ {
		if text[at] != '\\' {
			continue
		}
		code, next := escaped(at), escaped(at+6)
		switch {
		case code>>10 == 0xd800>>10 && next>>10 == 0xdc00>>10:
			at += 6
		case code>>11 == 0xd800>>11:
			copy(text[at+2:], "0000")
		}
		at++ // what a backslash escapes may be one itself
	}
	return text
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
		return fmt.Sprintf("a list of %d", len(value))
	case string:
		return fmt.Sprintf("%.80q", value)
	default:
		return fmt.Sprintf("%.80v", value)
	}
}

// A checker reads values from fields, and keeps the first error. After an error its values are empty
// or wrong, and must not be used.
type checker struct{ err error }

func (c *checker) expect(good bool, f field, expected string) {
	if !good && c.err == nil {
		c.err = fmt.Errorf("%s: expected %s, got %v", f.path, expected, f)
	}
}

// require is expect for what is more than one field, or none as it is written.
func (c *checker) require(good bool, path, expected string, got any) {
	if !good && c.err == nil {
		c.err = fmt.Errorf("%s: expected %s, got %v", path, expected, got)
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
	c.expect(!strings.ContainsFunc(value, unicode.IsControl), f, "a text without control characters")
	return value
}

func (c *checker) number(f field) float64 {
	number, _ := f.value.(json.Number)
	value, err := number.Float64() // an infinite one is an error
	c.expect(err == nil, f, "a finite number")
	return value
}

// flag is false where there is no such field.
func (c *checker) flag(f field) bool {
	value, good := f.value.(bool)
	c.expect(good || f.value == nothing{}, f, "true or false")
	return value
}

func (c *checker) size(f field) int64 { return c.whole(f, 1) }

func (c *checker) whole(f field, least int64) int64 {
	number, _ := f.value.(json.Number)
	value, err := strconv.ParseInt(number.String(), 10, 64)
	good := err == nil && value >= least && value <= maxSize
	c.expect(good, f, fmt.Sprintf("a whole number from %d on, of at most 53 bits", least))
	return value
}

func (c *checker) digest(f field) string {
	value := c.text(f)
	c.expect(digest.MatchString(value), f, "64 hex digits")
	return value
}

func (c *checker) file(f field) string {
	value := c.text(f)
	hops := func(name string) bool { return name == "" || name == "." || name == ".." }
	inside := filepath.IsLocal(value) && !strings.Contains(value, `\`) &&
		!slices.ContainsFunc(strings.Split(value, "/"), hops)
	c.expect(inside, f, "a path inside the bundle")
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

// keys lists the keys of a map, for errors.
func keys[T any](values map[string]T) string {
	return strings.Join(slices.Sorted(maps.Keys(values)), ", ")
}
