package aeonnx

import (
	"encoding/binary"
	"fmt"
	"math"
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
	if span := spec.Range; limited && span != nil && (lowest < span[0] || highest > span[1]) {
		return array, fmt.Errorf("%s: %s: expected values in [%g, %g], got %.9g to %.9g", p.name, input,
			span[0], span[1], lowest, highest)
	}
	return array, nil
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
