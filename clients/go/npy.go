package aeonnx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	npyMagic = "\x93NUMPY"
	mostAxes = 32 // that numpy has
)

// Types of elements as .npy files call them, after the letter of the byte order.
var npyTypes = map[string]string{
	"bool": "b1", "float16": "f2", "float32": "f4", "float64": "f8", "int32": "i4", "int64": "i8", "uint8": "u1",
}

// The header is the text of a dictionary of Python, of three entries in any order.
var (
	npyHeader = regexp.MustCompile(`^\s*\{\s*(.*?)\s*,?\s*\}\s*$`)
	npyEntry  = regexp.MustCompile(`^\s*'(descr|fortran_order|shape)'\s*:\s*('[^']*'|True|False|\([0-9L,\s]*\))\s*(?:,|$)`)
)

// ReadArray reads the array in a .npy file of format version 1.0 to 3.0.
func ReadArray(path string) (Tensor, error) {
	data, err := readFile(path, 0, maxBytes)
	if regular, size := errNotRegular(""), (sizeError{}); errors.As(err, &regular) || errors.As(err, &size) {
		return Tensor{}, err
	}
	array := Tensor{}
	if err == nil {
		array, err = parseArray(data)
	}
	if err != nil {
		return Tensor{}, fmt.Errorf("%s is not a readable .npy file: %w", path, reason(err))
	}
	return array, nil
}

func parseArray(data []byte) (Tensor, error) {
	if len(data) < 10 || !bytes.HasPrefix(data, []byte(npyMagic)) {
		return Tensor{}, errors.New(`it does not start with \x93NUMPY`)
	}
	start, length := int64(10), int64(binary.LittleEndian.Uint16(data[8:]))
	switch major := data[6]; {
	case major < 1 || major > 3 || data[7] != 0:
		return Tensor{}, fmt.Errorf("expected format version 1.0 to 3.0, got %d.%d", major, data[7])
	case major > 1 && len(data) >= 12:
		start, length = 12, int64(binary.LittleEndian.Uint32(data[8:]))
	}
	if start+length > int64(len(data)) {
		return Tensor{}, fmt.Errorf("its header is %d bytes, %d are left", length, int64(len(data))-start)
	}
	array, columnFirst, err := parseHeader(string(data[start : start+length]))
	if err != nil {
		return Tensor{}, err
	}
	array.Data = data[start+length:]
	if !array.whole() {
		return Tensor{}, fmt.Errorf("expected %d bytes for %v, got %d",
			bytesOf(array.DType, array.Shape), array, len(array.Data))
	}
	if columnFirst {
		array = array.rowFirst()
	}
	return array, nil
}

func parseHeader(header string) (array Tensor, columnFirst bool, err error) {
	bad := func(what string) error { return fmt.Errorf("expected %s, got the header %.200q", what, header) }
	inside := npyHeader.FindStringSubmatch(header)
	if inside == nil {
		return array, false, bad("descr, fortran_order and shape")
	}
	entries := map[string]string{}
	for rest := inside[1]; rest != ""; {
		entry := npyEntry.FindStringSubmatch(rest)
		if entry == nil || entries[entry[1]] != "" {
			return array, false, bad("descr, fortran_order and shape")
		}
		entries[entry[1]] = entry[2]
		rest = strings.TrimSpace(rest[len(entry[0]):])
	}
	if array.DType, err = npyType(entries["descr"]); err != nil {
		return array, false, err
	}
	order := entries["fortran_order"]
	if order != "True" && order != "False" {
		return array, false, bad("fortran_order of True or False")
	}
	sizes, isTuple := strings.CutPrefix(entries["shape"], "(")
	if !isTuple {
		return array, false, bad("a shape")
	}
	words := strings.Split(strings.TrimSuffix(sizes, ")"), ",")
	if last := len(words) - 1; strings.TrimSpace(words[last]) == "" {
		words = words[:last] // a comma may follow the last size, and there may be none
	}
	array.Shape = []int64{}
	for _, word := range words {
		size, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(word), "L"), 10, 64)
		if err != nil || len(words) > mostAxes {
			return array, false, bad("a shape")
		}
		array.Shape = append(array.Shape, size)
	}
	return array, order == "True", nil
}

// npyType is the dtype of a text such as '<f4', quotes included. Of one byte there is no order.
func npyType(descr string) (string, error) {
	for dtype, code := range npyTypes {
		order := "<"
		if widths[dtype] == 1 {
			order = "|"
		}
		if descr == "'"+order+code+"'" || widths[dtype] == 1 && descr == "'<"+code+"'" {
			return dtype, nil
		}
	}
	if strings.HasPrefix(descr, "'>") {
		return "", fmt.Errorf("expected little-endian values, got %s", descr)
	}
	return "", fmt.Errorf("expected values of %s, got %s", keys(npyTypes), descr)
}

// rowFirst is an array whose first axis varied fastest, with its last one doing so.
func (t Tensor) rowFirst() Tensor {
	width := widths[t.DType]
	steps, step := make([]int64, len(t.Shape)), width
	for axis, size := range t.Shape {
		steps[axis], step = step, step*size
	}
	found := Tensor{t.DType, t.Shape, make([]byte, 0, len(t.Data))}
	place, from := make([]int64, len(t.Shape)), int64(0)
	for len(found.Data) < len(t.Data) {
		found.Data = append(found.Data, t.Data[from:from+width]...)
		for axis := len(place) - 1; axis >= 0; axis-- {
			place[axis]++
			from += steps[axis]
			if place[axis] < t.Shape[axis] {
				break
			}
			from -= place[axis] * steps[axis]
			place[axis] = 0
		}
	}
	return found
}

// WriteArray writes an array to a .npy file, whole or not at all. A file that exists is replaced only if
// that is asked for; see Writable.
func WriteArray(path string, array Tensor, replace bool) error {
	header, err := headerOf(array)
	if err != nil {
		return err
	}
	return writeFile(path, replace, func(to io.Writer) error {
		if _, err := to.Write(header); err != nil {
			return err
		}
		_, err := to.Write(array.Data)
		return err
	})
}

// headerOf is what comes before the values: as many bytes as a multiple of 64.
func headerOf(array Tensor) ([]byte, error) {
	code := npyTypes[array.DType]
	if code == "" || !array.whole() {
		return nil, fmt.Errorf("expected an array of %v, got %v of %d bytes",
			slices.Sorted(maps.Keys(npyTypes)), array, len(array.Data))
	}
	order := "<"
	if widths[array.DType] == 1 {
		order = "|"
	}
	shape := strings.Trim(inWords(array.Shape), "[]")
	if len(array.Shape) == 1 {
		shape += "," // else it would be a number in brackets
	}
	text := fmt.Sprintf("{'descr': '%s%s', 'fortran_order': False, 'shape': (%s), }", order, code, shape)
	fill := 63 - (10+len(text))%64
	text += strings.Repeat(" ", fill) + "\n"
	header := append([]byte(npyMagic), 1, 0)
	return append(binary.LittleEndian.AppendUint16(header, uint16(len(text))), text...), nil
}
