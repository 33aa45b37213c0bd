package aeonnx

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A Tensor is an array: row-major values, little-endian as they lie in memory and in golden files.
type Tensor struct {
	DType string // of numpy: "float32", "uint8" and so on
	Shape []int64
	Data  []byte
}

// A Number is an element type that Go has.
type Number interface {
	bool | float32 | float64 | int32 | int64 | uint8
}

func dtypeOf[T Number]() string {
	var zero T
	return fmt.Sprintf("%T", zero)
}

// NewTensor copies values, which fill the shape.
func NewTensor[T Number](values []T, shape ...int64) Tensor {
	data, _ := binary.Append(nil, binary.LittleEndian, values) // an error is for other types
	return Tensor{dtypeOf[T](), shape, data}
}

// Values copies the values of a tensor. The error says that they are of another type.
func Values[T Number](t Tensor) ([]T, error) {
	if t.DType != dtypeOf[T]() {
		return nil, fmt.Errorf("expected %s, got %v", dtypeOf[T](), t)
	}
	values := make([]T, int64(len(t.Data))/widths[t.DType])
	_, err := binary.Decode(t.Data, binary.LittleEndian, values)
	return values, err
}

// String is such as "float32 [2, 20]".
func (t Tensor) String() string { return t.DType + " " + inWords(t.Shape) }

// String is such as "z float32 [batch, 20]".
func (s Spec) String() string { return s.Name + " " + s.array() }

func (s Spec) array() string { return s.DType + " " + s.Shape.String() }

func inWords(shape []int64) string {
	words := make([]string, len(shape))
	for i, size := range shape {
		words[i] = strconv.FormatInt(size, 10)
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// rows gives count rows from start on; beyond the last one, that one again.
func (t Tensor) rows(start, count int64) Tensor {
	width := int64(len(t.Data)) / t.Shape[0]
	data := slices.Clip(t.Data[start*width : min(start+count, t.Shape[0])*width])
	if missing := count - int64(len(data))/width; missing > 0 {
		data = append(data, bytes.Repeat(t.Data[int64(len(t.Data))-width:], int(missing))...)
	}
	return Tensor{t.DType, append([]int64{count}, t.Shape[1:]...), data}
}

// and is a tensor with the rows of another behind its own.
func (t Tensor) and(more Tensor) Tensor {
	shape := append([]int64{t.Shape[0] + more.Shape[0]}, t.Shape[1:]...)
	return Tensor{t.DType, shape, append(t.Data, more.Data...)}
}

// like is whether two tensors have the same dtype and shape.
func (t Tensor) like(other Tensor) bool {
	return t.DType == other.DType && slices.Equal(t.Shape, other.Shape)
}

// difference is the largest |a - b| of two tensors that are alike, NaN where either is; of int32, int64
// and bool the share of the values that differ.
func difference(a, b Tensor) (largest float64) {
	count := len(a.Data) / int(widths[a.DType])
	if slices.Contains([]string{"int32", "int64", "bool"}, a.DType) {
		for i := range count {
			if a.value(i) != b.value(i) {
				largest += 1 / float64(count)
			}
		}
		return largest
	}
	for i := range count {
		largest = max(largest, math.Abs(a.value(i)-b.value(i))) // keeps NaN
	}
	return largest
}

func (t Tensor) value(i int) float64 {
	at := t.Data[i*int(widths[t.DType]):]
	switch t.DType {
	case "float16":
		return half(binary.LittleEndian.Uint16(at))
	case "float32":
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(at)))
	case "float64":
		return math.Float64frombits(binary.LittleEndian.Uint64(at))
	case "int32":
		return float64(int32(binary.LittleEndian.Uint32(at)))
	case "int64":
		return float64(int64(binary.LittleEndian.Uint64(at)))
	default:
		return float64(at[0])
	}
}

// whole is whether there are as many bytes as the shape needs.
func (t Tensor) whole() bool { return bytesOf(t.DType, t.Shape) == int64(len(t.Data)) }

// half is a float16: a sign, 5 bits of exponent and 10 of fraction.
func half(bits uint16) float64 {
	sign, exponent, fraction := 1-2*float64(bits>>15), int(bits>>10&31), float64(bits&1023)
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 31:
		if fraction == 0 {
			return sign * math.Inf(1)
		}
		return math.NaN()
	default:
		return sign * math.Ldexp(1024+fraction, exponent-25)
	}
}
