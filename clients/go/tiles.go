package aeonnx

import (
	"iter"
	"maps"
	"slices"
)

const largestRow = 1 << 22 // values of a tensor that runs on the whole

// A piece is a tile along one axis: it computes outputs from start to before stop, of inputs from first
// to before last.
type piece struct{ start, stop, first, last int64 }

// sides are the lengths of tiles, by the number of axes that are cut.
var sides = map[int]int64{1: 1 << 18, 2: 512}

const sideOfMore = 64

// inTiles is whether a part runs in tiles at sizes of its axes: where a row is large, and every axis has
// a margin.
func (p *Part) inTiles(sizes map[string]int64) bool {
	if len(p.cut()) == 0 {
		return false
	}
	for _, axis := range p.Axes {
		if axis.Margin < 0 {
			return false
		}
	}
	return slices.ContainsFunc(slices.Concat(p.Inputs, p.Outputs), func(spec Spec) bool {
		return product(spec.Shape[1:].at(sizes)) > largestRow
	})
}

// cut are the axes that tiles are cut along.
func (p *Part) cut() []string {
	isRows := func(name string) bool { return name == Batch }
	return slices.DeleteFunc(slices.Sorted(maps.Keys(p.Axes)), isRows)
}

// tileSide is the length of a tile in the tensor in which it is longest, in places of the axes.
func (p *Part) tileSide() int64 {
	side, known := sides[len(p.cut())]
	if !known {
		side = sideOfMore
	}
	largest := int64(1)
	for _, spec := range slices.Concat(p.Inputs, p.Outputs) {
		for _, size := range spec.Shape {
			if size.Axis != "" {
				largest = max(largest, size.Factor)
			}
		}
	}
	return side / largest
}

// pieces are the tiles along an axis with a margin. They begin at multiples of the axis, so that strides
// fall on the same places as in the whole.
func pieces(axis Axis, size, side int64) iter.Seq[piece] {
	margin := roundUp(axis.Margin, axis.Multiple)
	side = max(side/axis.Multiple*axis.Multiple, 4*margin+axis.Multiple, axis.Min)
	return func(use func(piece) bool) {
		if size <= side {
			use(piece{0, size, 0, size})
			return
		}
		step := side - 2*margin
		for start := int64(0); start < size; start += step {
			stop := min(start+step, size)
			last := min(size, stop+margin)
			first := max(0, min(start-margin, last-axis.Min))
			last = max(last, first+axis.Min) // the first tile has a margin on one side only
			if !use(piece{start, stop, first, last}) {
				return
			}
		}
	}
}

// A runner gives the outputs of one batch, at sizes of the axes.
type runner func(inputs map[string]Tensor, sizes map[string]int64) (map[string]Tensor, error)

// runTiles gives the outputs of one batch, put together from tiles, one after the other.
func (p *Part) runTiles(run runner, inputs map[string]Tensor, sizes map[string]int64) (map[string]Tensor, error) {
	outputs := map[string]Tensor{}
	for _, spec := range p.Outputs {
		whole := Tensor{DType: spec.DType, Shape: p.gives(spec, sizes)}
		whole.Data = make([]byte, bytesOf(whole.DType, whole.Shape))
		outputs[spec.Name] = whole
	}
	tile, side := map[string]piece{}, p.tileSide()
	var cut func(axes []string) error
	cut = func(axes []string) error {
		if len(axes) == 0 {
			return p.runTile(run, inputs, outputs, sizes, tile)
		}
		for piece := range pieces(p.Axes[axes[0]], sizes[axes[0]], side) {
			tile[axes[0]] = piece
			if err := cut(axes[1:]); err != nil {
				return err
			}
		}
		return nil
	}
	return outputs, cut(p.cut())
}

// runTile runs on a tile, and puts what it computes into the outputs of the whole.
func (p *Part) runTile(
	run runner, inputs, outputs map[string]Tensor, sizes map[string]int64, tile map[string]piece,
) error {
	// at gives the sizes of axes that each piece says; those that are not cut keep theirs.
	at := func(of func(piece) int64, others map[string]int64) map[string]int64 {
		found := maps.Clone(others)
		for name, piece := range tile {
			found[name] = of(piece)
		}
		return found
	}
	nowhere := map[string]int64{Batch: 0}
	first := at(func(p piece) int64 { return p.first }, nowhere)
	start := at(func(p piece) int64 { return p.start }, nowhere)
	inside := at(func(p piece) int64 { return p.start - p.first }, nowhere)
	taken := at(func(p piece) int64 { return p.last - p.first }, sizes)
	given := at(func(p piece) int64 { return p.stop - p.start }, sizes)
	pieces := map[string]Tensor{}
	for _, spec := range p.Inputs {
		shape := p.takes(spec)
		pieces[spec.Name] = inputs[spec.Name].block(shape.places(first), shape.at(taken))
	}
	found, err := run(pieces, taken)
	if err != nil {
		return err
	}
	for _, spec := range p.Outputs {
		shape := spec.Shape.withRows()
		copyBlock(outputs[spec.Name], shape.places(start), found[spec.Name], shape.places(inside), shape.at(given))
	}
	return nil
}

// places is where the places of axes are in a tensor; sizes that follow no axis begin at 0.
func (s Shape) places(axes map[string]int64) []int64 {
	found := make([]int64, len(s))
	for i, size := range s {
		if size.Axis != "" {
			found[i] = size.at(axes)
		}
	}
	return found
}
