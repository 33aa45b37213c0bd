package aeonnx

import (
	"encoding/binary"
	"fmt"
	"math"
)

// limits are the values that pixels 0 and 255 stand for, and what lies between. Each operation is
// rounded to float32, as in the graphs that take pixels.
type limits struct{ low, high, width float32 }

func limitsOf(span []float64) limits {
	low, high := float32(span[0]), float32(span[1])
	return limits{low, high, high - low}
}

// holdsPixels is whether a range, which may be nil, has a width that is a finite float32 above 0.
func holdsPixels(span []float64) bool {
	if span == nil {
		return false
	}
	width := limitsOf(span).width
	return width > 0 && !math.IsInf(float64(width), 1)
}

// fromPixels makes uint8 images float32 in a range: low + (pixel / 255) * (high - low), which for
// [0, 1] is pixel / 255.
func fromPixels(images Tensor, span []float64) (Tensor, error) {
	if images.DType != "uint8" {
		return Tensor{}, fmt.Errorf("expected uint8, got %v", images)
	}
	to, data := limitsOf(span), make([]byte, 0, 4*len(images.Data))
	for _, pixel := range images.Data {
		// Go may fuse a product with a sum, unless the product is converted.
		value := to.low + float32(float32(pixel)/255*to.width)
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(value))
	}
	return Tensor{"float32", images.Shape, data}, nil
}

// toPixels is the way back: (clip(value, low, high) - low) / (high - low) * 255, to the nearest, ties
// to even, which for [0, 1] is clip(value, 0, 1) * 255. The error names the part that gave them if one is NaN.
func toPixels(part string, images Tensor, span []float64) (Tensor, error) {
	if images.DType != "float32" {
		return Tensor{}, fmt.Errorf("expected float32, got %v", images)
	}
	from, pixels := limitsOf(span), make([]byte, len(images.Data)/4)
	for i := range pixels {
		value := math.Float32frombits(binary.LittleEndian.Uint32(images.Data[4*i:]))
		if value != value {
			return Tensor{}, fmt.Errorf("%s gave NaN, which is no pixel", part)
		}
		share := (min(max(value, from.low), from.high) - from.low) / from.width
		pixels[i] = uint8(math.RoundToEven(float64(share * 255)))
	}
	return Tensor{"uint8", images.Shape, pixels}, nil
}
