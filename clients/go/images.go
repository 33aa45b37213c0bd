package aeonnx

import "fmt"

// Picture is the shape [C, H, W] of the pictures that a denoiser or a scorer takes, in which H and W may be Any.
func (p *Part) Picture() []int64 {
	shape := p.Inputs[0].Shape[1:]
	return shape.at(nil) // a size that follows an axis is 0 without it, which is Any
}

// padded are images, uint8 [n, C, H, W], made as large as the sizes of the denoiser must be.
func (p *Part) padded(images Tensor) (Tensor, error) {
	input := p.Inputs[0]
	declared := p.takes(input)
	if images.DType != "uint8" || !declared.fits(images.Shape) || !images.whole() {
		return images, fmt.Errorf("%s: %s: expected uint8 %v, got %v", p.name, input.Name, declared, images)
	}
	sizes := map[string]int64{}
	for i, size := range declared {
		if size.Axis != "" { // one axis may stand in two places
			wanted := size.axisSize(roundUp(images.Shape[i], size.Factor))
			sizes[size.Axis] = max(sizes[size.Axis], p.axis(size.Axis).roundUp(wanted))
		}
	}
	for name, size := range sizes {
		if axis := p.axis(name); !axis.allows(size) {
			return images, fmt.Errorf("%s: %s: %s: expected %v, got %d: give smaller images",
				p.name, input.Name, name, axis, size)
		}
	}
	shape := declared.at(sizes)
	if product(shape[2:]) > mostPixels {
		return images, fmt.Errorf("%s: %s: %v needs images %s, of more than %d pixels", p.name, input.Name,
			images, inWords(shape), mostPixels)
	}
	return images.reflected(shape), nil
}

// axis says which sizes an axis may have; the rows of a graph that is fixed to a number of them are any.
func (p *Part) axis(name string) Axis {
	if axis, known := p.Axes[name]; known {
		return axis
	}
	return anySize
}
