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
// output with what PyTorch gave. Of golden vectors at many sizes, the worst counts.
func (b *Bundle) Check(name, variant string) ([]Result, error) {
	part, err := b.Part(name, variant)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(part.Outputs))
	for i, spec := range part.Outputs {
		tolerances := part.Golden[0].Outputs[spec.Name].Tolerance
		results[i] = Result{name, variant, spec.Name, 0, tolerances[0]}
	}
	for _, stored := range part.Golden {
		golden, err := b.Golden(stored)
		if err == nil {
			err = part.compare(results, golden, stored.Outputs)
		}
		if err != nil {
			return nil, err
		}
	}
	return results, nil
}

// compare runs on golden inputs, and judges the outputs. The manifest says of all arrays that they have
// the shapes of the graph, and Run that outputs have them.
func (p *Part) compare(results []Result, golden Golden, stored map[string]Stored) error {
	judge := func(found map[string]Tensor, row, rows int64) {
		for i := range results {
			output := results[i].Output
			expected, tolerances := golden.Outputs[output].rows(row, rows), stored[output].Tolerance
			results[i].judge(found[output], expected, tolerances[row:][:rows])
		}
	}
	found, err := p.Run(golden.Inputs)
	if err != nil {
		return err
	}
	rows := int64(len(stored[p.Outputs[0].Name].Tolerance))
	judge(found, 0, rows)
	for row := int64(0); row < rows && p.batch() == 0; row++ {
		if found, err = p.Run(p.taken(golden.Inputs, row, 1)); err != nil {
			return err
		}
		judge(found, row, 1)
	}
	return nil
}

// Time is how long a graph takes for the first golden row: the median of calls, after a warm-up.
func (b *Bundle) Time(name, variant string) (time.Duration, error) {
	const warmUp, timed = 20, 200
	part, err := b.Part(name, variant)
	if err != nil {
		return 0, err
	}
	golden, err := b.Golden(part.Golden[0])
	if err != nil {
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
