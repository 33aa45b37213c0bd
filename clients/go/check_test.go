package aeonnx

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestTheWorstRowIsTheOneOfTheLargestRatio(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, one := range []struct {
		off, tolerances  []float64
		error, tolerance float64
		ok               bool
	}{
		{[]float64{0, 0, 0}, []float64{3, 2, 1}, 0, 3, true},
		{[]float64{0.5, 1, 0.25}, []float64{1, 4, 1}, 0.5, 1, true},
		{[]float64{8, 0.5, 0}, []float64{16, 0.25, 1}, 0.5, 0.25, false},
		{[]float64{4, 4, 4}, []float64{2, 1, 1}, 4, 1, false},
		{[]float64{inf, nan, nan}, []float64{1, 2, 3}, nan, 2, false},
		// The next number above a tolerance is too much for it.
		{[]float64{3, math.Nextafter(0.1, 1), 0}, []float64{3, 0.1, 1}, math.Nextafter(0.1, 1), 0.1, false},
	} {
		expected := NewTensor(make([]float64, 6), 3, 2)
		found := NewTensor([]float64{0, one.off[0], -one.off[1], 0, one.off[2], 0}, 3, 2)
		result := Result{Tolerance: one.tolerances[0]}
		result.judge(found, expected, one.tolerances)
		same := result.Error == one.error || math.IsNaN(result.Error) && math.IsNaN(one.error)
		if !same || result.Tolerance != one.tolerance || result.OK() != one.ok {
			t.Errorf("%v of %v: got %v", one.off, one.tolerances, result)
		}
	}
}

func TestATolerancePerRowIsRead(t *testing.T) {
	for text, expected := range map[string]string{
		`[1, 2e-9, 0.5]`:      "",
		`0.5`:                 ": expected 3 numbers above 0, got 0.5",
		`null`:                ": expected 3 numbers above 0, got null",
		`"x"`:                 `: expected 3 numbers above 0, got "x"`,
		`{}`:                  ": expected 3 numbers above 0, got an object",
		`[1, 1]`:              ": expected 3 numbers above 0, got a list of 2",
		`[]`:                  ": expected 3 numbers above 0, got a list of 0",
		`[1, 1, 1, 1]`:        ": expected 3 numbers above 0, got a list of 4",
		`[1, 0, 1]`:           "[1]: expected a number above 0, got 0",
		`[1, 1, -1]`:          "[2]: expected a number above 0, got -1",
		`[1e999, 1, 1]`:       "[0]: expected a number above 0, got 1e999",
		`[1e-999, 1, 1]`:      "[0]: expected a number above 0, got 1e-999",
		`[1, null, 1]`:        "[1]: expected a number above 0, got null",
		`[1, "1", 1]`:         `[1]: expected a number above 0, got "1"`,
		`[1, 1, [1]]`:         "[2]: expected a number above 0, got a list of 1",
		`[true, 1, 1]`:        "[0]: expected a number above 0, got true",
		`[1, 1, ` + digits400: "[2]: expected a number above 0, got 1000",
	} {
		value, err := parseJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		c := checker{}
		got := c.tolerances(field{"tolerance", value}, 3)
		if expected == "" {
			if c.err != nil || !slices.Equal(got, []float64{1, 2e-9, 0.5}) {
				t.Errorf("%s: %v %v", text, got, c.err)
			}
		} else if c.err == nil || !strings.HasPrefix(c.err.Error(), "tolerance"+expected) {
			t.Errorf("%s: expected %q, got %v", text, expected, c.err)
		}
	}
}

var digits400 = "1" + strings.Repeat("0", 400) + "]"
