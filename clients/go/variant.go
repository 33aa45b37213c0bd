package aeonnx

import (
	"fmt"
	"maps"
	"slices"
)

// together checks that the fields of a variant belong together, once each is read.
func (c *checker) together(f field, v *Variant) {
	if c.err != nil {
		return
	}
	c.distinct(f.at("inputs"), v.Inputs)
	c.distinct(f.at("outputs"), v.Outputs)
	c.sameAxes(f, v)
	c.sameRows(f, v)
	c.sameOutputs(f, v)
	for i, golden := range v.Golden {
		c.sameSizes(field{fmt.Sprintf("%s[%d]", f.at("golden").path, i), nil}, v, golden)
	}
}

func (c *checker) distinct(f field, specs []Spec) {
	named := namesOf(specs)
	slices.Sort(named)
	c.require(len(slices.Compact(named)) == len(specs), f.path, "distinct names", namesOf(specs))
}

// sameAxes checks that the axes are those of the tensors, and that inputs decide the sizes of outputs.
func (c *checker) sameAxes(f field, v *Variant) {
	specs := slices.Concat(v.Inputs, v.Outputs)
	used, decided := axesOf(specs...), axesOf(v.Inputs...)
	listed := slices.Sorted(maps.Keys(used))
	same := slices.Equal(listed, slices.Sorted(maps.Keys(v.Axes)))
	c.require(same, f.at("axes").path, fmt.Sprintf("%v, those of the tensors", listed), "["+keys(v.Axes)+"]")
	c.require(len(decided) == len(used), f.at("outputs").path,
		"sizes that follow axes of the inputs, ["+keys(decided)+"]", listed)
	for _, spec := range specs {
		for _, size := range spec.Shape {
			multiple := v.Axes[size.Axis].Multiple // 0 for a number
			c.require(multiple%size.Divisor == 0, f.at("axes").at(size.Axis).at("multiple").path,
				fmt.Sprintf("a multiple of %d, by which %v divides it", size.Divisor, size), multiple)
		}
	}
}

// sameRows checks that all outputs have as many rows, any number or a fixed one, and an input too.
func (c *checker) sameRows(f field, v *Variant) {
	first := v.Outputs[0].Shape[0]
	c.require(first.Axis == "" || first.Axis == Batch, f.at("outputs").path,
		`a number of rows or "batch" for the first size`, first)
	for _, spec := range v.Outputs {
		c.require(spec.Shape[0] == first, f.at("outputs").path,
			fmt.Sprintf("the first size %v in all", first), spec)
	}
	c.require(slices.ContainsFunc(v.Inputs, v.hasRows), f.at("inputs").path,
		fmt.Sprintf("one with the first size %v, as the outputs have it", first), namesOf(v.Inputs))
}

// sameSizes checks that stored arrays have the shapes of the tensors, at one size of each axis.
func (c *checker) sameSizes(f field, v *Variant, golden StoredGolden) {
	c.sameNames(f.at("inputs"), v.Inputs, golden.Inputs)
	c.sameNames(f.at("outputs"), v.Outputs, golden.Outputs)
	if c.err != nil {
		return
	}
	given := []sized{}
	for _, spec := range v.Inputs {
		declared, stored := v.takes(spec), golden.Inputs[spec.Name]
		c.require(declared.fits(stored.Shape), f.at("inputs").at(spec.Name).path, declared.String(),
			inWords(stored.Shape))
		given = append(given, sized{spec.Name, declared, stored.Shape})
	}
	if c.err != nil {
		return
	}
	sizes, err := solve(given, v.Axes)
	if err != nil {
		c.err = fmt.Errorf("%s.%w", f.at("inputs").path, err)
		return
	}
	batch := max(v.batch(), 1)
	c.require(sizes[Batch]%batch == 0, f.at("inputs").path, fmt.Sprintf("batches of %d rows", batch),
		fmt.Sprintf("%d rows", sizes[Batch]))
	for _, spec := range v.Inputs {
		c.sameArray(f.at("inputs"), spec, v.takes(spec).at(sizes), golden.Inputs[spec.Name])
	}
	for _, spec := range v.Outputs {
		c.sameArray(f.at("outputs"), spec, spec.Shape.withRows().at(sizes), golden.Outputs[spec.Name])
	}
}

func (c *checker) sameArray(f field, spec Spec, shape []int64, stored Stored) {
	expected, got := Tensor{DType: spec.DType, Shape: shape}, Tensor{DType: stored.DType, Shape: stored.Shape}
	c.require(got.like(expected), f.at(spec.Name).path, expected.String(), got)
}

func (c *checker) sameNames(f field, specs []Spec, golden map[string]Stored) {
	expected := namesOf(specs)
	slices.Sort(expected)
	same := slices.Equal(expected, slices.Sorted(maps.Keys(golden)))
	c.require(same, f.path, fmt.Sprintf("an array for each tensor of the graph, %v", expected),
		"["+keys(golden)+"]")
}

// batch is the number of rows that a graph is fixed to; 0 for any number.
func (v *Variant) batch() int64 {
	if first := v.Outputs[0].Shape[0]; first.Axis == "" {
		return first.Factor
	}
	return 0
}

// hasRows is whether an input has one row for each of the outputs.
func (v *Variant) hasRows(spec Spec) bool {
	return spec.Shape[0] == v.Outputs[0].Shape[0] && spec.Kind != "seed"
}

// takes is the shape of an input, with any number of rows.
func (v *Variant) takes(spec Spec) Shape {
	if v.hasRows(spec) {
		return spec.Shape.withRows()
	}
	return spec.Shape
}
