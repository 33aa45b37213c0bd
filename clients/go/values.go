package aeonnx

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// Prepare makes an array one that Run takes: floats of 16 and 64 bits become float32 where the part takes
// that, and values must be finite and in the range that the manifest gives for the input. NaN may stand for
// missing values, where the input may have them.
func (p *Part) Prepare(input string, array Tensor) (Tensor, error) {
	return p.prepared(input, array, true)
}

// prepared is Prepare, with values outside of the range too unless they are limited to it.
func (p *Part) prepared(input string, array Tensor, limited bool) (Tensor, error) {
	spec := named(p.Inputs, input)
	if spec == nil {
		return array, fmt.Errorf("%s: expected inputs %v, got %s", p.name, namesOf(p.Inputs), input)
	}
	if spec.DType == "float32" && array.whole() {
		array = asFloat32(array)
	}
	if declared := p.takes(*spec); array.DType != spec.DType || !declared.fits(array.Shape) || !array.whole() {
		return array, fmt.Errorf("%s: %s: expected %s %v, got %v", p.name, input, spec.DType, declared, array)
	}
	lowest, highest, finite := array.extremes(spec.Missing)
	if !finite {
		return array, fmt.Errorf("%s: %s: expected finite values, got NaN or infinity", p.name, input)
	}
	if limited {
		if err := spec.requireRange(lowest, highest); err != nil {
			return array, fmt.Errorf("%s: %s: %w", p.name, input, err)
		}
	}
	return array, nil
}

// requireRange compares values with the range of an input as numbers of its dtype, since 0.1 as a float32 is
// above 0.1. Labels and codes of no range are numbers from 0 on.
func (s Spec) requireRange(lowest, highest float64) error {
	span := s.Range
	if span == nil {
		if lowest < 0 && (s.Kind == "label" || s.Kind == "codes") {
			return fmt.Errorf("expected values of 0 or more, got %s", strconv.FormatFloat(lowest, 'f', -1, 64))
		}
		return nil
	}
	low, high := span[0], span[1]
	if s.DType == "float32" {
		low, high = float64(float32(low)), float64(float32(high))
	}
	if lowest < low || highest > high {
		return fmt.Errorf("expected values in [%g, %g], got %.9g to %.9g", span[0], span[1], lowest, highest)
	}
	return nil
}

// requireSome refuses a row whose values are all missing. Where a row is a single value, it may be.
func (t Tensor) requireSome() error {
	if len(t.Shape) < 2 {
		return nil
	}
	each := int(product(t.Shape[1:]))
	for row := range int(t.Shape[0]) {
		i := row * each
		for i < (row+1)*each && math.IsNaN(t.value(i)) {
			i++
		}
		if i == (row+1)*each {
			return fmt.Errorf("expected a value in each row, got none in row %d: remove it", row)
		}
	}
	return nil
}

// asFloat32 rounds other floats, and leaves what is none. What is too large becomes infinite.
func asFloat32(t Tensor) Tensor {
	if t.DType != "float16" && t.DType != "float64" {
		return t
	}
	count := len(t.Data) / int(widths[t.DType])
	data := make([]byte, 0, 4*count)
	for i := range count {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(t.value(i))))
	}
	return Tensor{"float32", t.Shape, data}
}

// extremes are the lowest and the highest value, and whether all are finite: NaN is passed over where
// values may be missing, and where all are, lowest is above highest.
func (t Tensor) extremes(missing bool) (lowest, highest float64, finite bool) {
	lowest, highest, finite = math.Inf(1), math.Inf(-1), true
	for i := range len(t.Data) / int(widths[t.DType]) {
		value := t.value(i)
		if missing && math.IsNaN(value) {
			continue
		}
		finite = finite && !math.IsNaN(value) && !math.IsInf(value, 0)
		lowest, highest = min(lowest, value), max(highest, value)
	}
	return lowest, highest, finite
}
