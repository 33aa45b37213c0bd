package aeonnx

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// A Result is how far an output was from its golden vector, by the worst of its rows: the one where
// Error / Tolerance is largest.
type Result struct {
	Part, Variant, Output string
	Error, Tolerance      float64 // Error is NaN where an output is not a number or of another shape
}

// worse is whether a row was further off than another: by its own tolerance, and NaN before all others.
func (r Result) worse(other Result) bool {
	return !math.IsNaN(other.Error) && !(r.Error/r.Tolerance <= other.Error/other.Tolerance)
}

// judge compares rows with golden ones, and keeps the worst of all that it saw.
func (r *Result) judge(found, expected Tensor, tolerances []float64) {
	for row, tolerance := range tolerances {
		now := *r
		now.Error = difference(found.rows(int64(row), 1), expected.rows(int64(row), 1))
		now.Tolerance = tolerance
		if now.worse(*r) {
			*r = now
		}
	}
}

// OK is whether the output is right.
func (r Result) OK() bool { return r.Error <= r.Tolerance }

// String is the line that `aeonnx check` prints.
func (r Result) String() string {
	word := "WRONG"
	if r.OK() {
		word = "ok"
	}
	return fmt.Sprintf("%s %s %s %s: max error %.3g, tolerance %.3g",
		word, r.Part, r.Variant, r.Output, r.Error, r.Tolerance)
}

// Check runs a graph on its golden inputs, all rows at once and each row alone, and compares every
// output with what PyTorch gave.
func (b *Bundle) Check(name, variant string) ([]Result, error) {
	part, golden, err := b.partAndGolden(name, variant)
	if err != nil {
		return nil, err
	}
	rows, err := part.rows(golden.Inputs)
	if err != nil {
		return nil, err
	}
	found, err := part.Run(golden.Inputs)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(part.Outputs))
	for i, spec := range part.Outputs {
		tolerances := part.GoldenOutputs[spec.Name].Tolerance
		results[i] = Result{name, variant, spec.Name, math.NaN(), tolerances[0]}
		if found, expected := found[spec.Name], golden.Outputs[spec.Name]; found.like(expected) {
			results[i].Error = 0
			results[i].judge(found, expected, tolerances)
		}
	}
	for row := int64(0); row < rows && part.batch == Batch; row++ {
		found, err := part.Run(part.taken(golden.Inputs, row, 1))
		if err != nil {
			return nil, err
		}
		for i := range results {
			r := &results[i]
			if !math.IsNaN(r.Error) { // else the golden vector may have fewer rows
				tolerances := part.GoldenOutputs[r.Output].Tolerance[row:][:1]
				r.judge(found[r.Output], golden.Outputs[r.Output].rows(row, 1), tolerances)
			}
		}
	}
	return results, nil
}

// Time is how long a graph takes for the first golden row: the median of calls, after a warm-up.
func (b *Bundle) Time(name, variant string) (time.Duration, error) {
	const warmUp, timed = 20, 200
	part, golden, err := b.partAndGolden(name, variant)
	if err != nil {
		return 0, err
	}
	if _, err := part.rows(golden.Inputs); err != nil {
		return 0, err
	}
	row := part.taken(golden.Inputs, 0, 1)
	times := make([]time.Duration, warmUp+timed)
	for call := range times {
		start := time.Now()
		if _, err := part.Run(row); err != nil {
			return 0, err
		}
		times[call] = time.Since(start)
	}
	times = times[warmUp:]
	slices.Sort(times)
	return times[timed/2], nil
}

func (b *Bundle) partAndGolden(name, variant string) (*Part, Golden, error) {
	part, err := b.Part(name, variant)
	if err != nil {
		return nil, Golden{}, err
	}
	golden, err := b.Golden(name, variant)
	return part, golden, err
}
