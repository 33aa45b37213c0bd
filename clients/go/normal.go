package aeonnx

import (
	"fmt"
	"maps"
	"slices"
)

// Quantiles are the scores of normal rows: the lowest one, those of 1 % to 99 %, and the highest.
type Quantiles []float64

const manyQuantiles = 101

// percentile is the share of normal rows with a lower score, in %. NaN has none below it.
func (q Quantiles) percentile(score float64) float64 {
	place, _ := slices.BinarySearch(q, score) // the first that is not lower
	switch place {
	case 0:
		return 0
	case len(q):
		return 100
	}
	low, high := q[place-1], q[place]
	return float64(place-1) + (score-low)/(high-low)
}

// thresholds may have any names.
func (c *checker) thresholds(f field) map[string]float64 {
	found := map[string]float64{}
	for _, name := range slices.Sorted(maps.Keys(c.object(f))) {
		found[name] = c.number(f.at(name))
	}
	return found
}

// normal is empty where there is no such field.
func (c *checker) normal(f field) map[string]Quantiles {
	if f.value == (nothing{}) {
		return nil
	}
	return mapOf(c, f, c.quantiles)
}

func (c *checker) quantiles(f field) Quantiles {
	c.object(f)
	f = f.at("quantiles")
	found := listOf(c, f, c.number)
	c.expect(len(found) == manyQuantiles, f, fmt.Sprintf("%d finite numbers in ascending order", manyQuantiles))
	for i := 1; i < len(found); i++ {
		c.require(found[i] >= found[i-1], fmt.Sprintf("%s[%d]", f.path, i),
			fmt.Sprintf("at least %g, the one before", found[i-1]), found[i])
	}
	return found
}

// sameOutputs checks that what is said of normal rows is said of outputs.
func (c *checker) sameOutputs(f field, v *Variant) {
	for _, name := range slices.Sorted(maps.Keys(v.Percentiles)) {
		c.require(named(v.Outputs, name) != nil, f.at("percentiles").path,
			fmt.Sprintf("outputs of the graph, %v", namesOf(v.Outputs)), name)
	}
	for _, name := range slices.Sorted(maps.Keys(v.Normal)) {
		c.require(v.Percentiles[name] != nil, f.at("normal").path,
			"outputs with percentiles, ["+keys(v.Percentiles)+"]", name)
	}
}
