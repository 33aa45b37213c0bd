package aeonnx

import "slices"

// block copies a part of a tensor.
func (t Tensor) block(at, shape []int64) Tensor {
	if slices.Equal(t.Shape, shape) {
		return t
	}
	found := Tensor{DType: t.DType, Shape: shape, Data: make([]byte, bytesOf(t.DType, shape))}
	copyBlock(found, make([]int64, len(shape)), t, at, shape)
	return found
}

// copyBlock copies values of a shape from a place in one tensor to a place in another.
func copyBlock(to Tensor, toAt []int64, from Tensor, fromAt, shape []int64) {
	copyAxis(to.Data, to.Shape, toAt, from.Data, from.Shape, fromAt, shape, widths[to.DType])
}

func copyAxis(to []byte, toShape, toAt []int64, from []byte, fromShape, fromAt, shape []int64, width int64) {
	if len(shape) == 0 {
		copy(to[:width], from)
		return
	}
	toStep, fromStep := product(toShape[1:])*width, product(fromShape[1:])*width
	if len(shape) == 1 { // values lie behind each other
		copy(to[toAt[0]*width:][:shape[0]*width], from[fromAt[0]*width:])
		return
	}
	for i := range shape[0] {
		copyAxis(to[(toAt[0]+i)*toStep:][:toStep], toShape[1:], toAt[1:],
			from[(fromAt[0]+i)*fromStep:][:fromStep], fromShape[1:], fromAt[1:], shape[1:], width)
	}
}

// reflected is a tensor whose sizes are made larger at their ends: values repeat from there backwards, and
// forwards again, without the last one twice, as numpy's "reflect". Of a single value all are copies.
func (t Tensor) reflected(shape []int64) Tensor {
	for axis, size := range shape {
		if size > t.Shape[axis] {
			t = t.reflectedAlong(axis, size)
		}
	}
	return t
}

func (t Tensor) reflectedAlong(axis int, size int64) Tensor {
	before := t.Shape[axis]
	inner := product(t.Shape[axis+1:]) * widths[t.DType]
	shape := slices.Clone(t.Shape)
	shape[axis] = size
	found := Tensor{DType: t.DType, Shape: shape, Data: make([]byte, bytesOf(t.DType, shape))}
	for i := range product(t.Shape[:axis]) {
		from, to := t.Data[i*before*inner:][:before*inner], found.Data[i*size*inner:][:size*inner]
		copy(to, from)
		for place := before; place < size; place++ {
			copy(to[place*inner:], from[mirror(place, before)*inner:][:inner])
		}
	}
	return found
}

// mirror is the place among count ones that a place behind them is a reflection of.
func mirror(place, count int64) int64 {
	if count == 1 {
		return 0
	}
	period := 2 * (count - 1)
	place %= period
	return min(place, period-place)
}
