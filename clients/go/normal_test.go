package aeonnx

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

// quantilesOf are 101 numbers from 0 to 10, in which some are other ones.
func quantilesOf(others map[int]string) string {
	words := make([]string, manyQuantiles)
	for i := range words {
		words[i] = strconv.FormatFloat(float64(i)/10, 'g', -1, 64)
		if other, there := others[i]; there {
			words[i] = other
		}
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// known are the changes of the sound manifest that make it say what normal rows score.
func known(percentiles, normal string) []string {
	return []string{`"percentiles": {}`, `"percentiles": ` + percentiles + `, "normal": ` + normal}
}

func TestAManifestSaysWhatNormalRowsScore(t *testing.T) {
	const thresholds = `{"z": {"p95": 9.5, "p99": 9}}`
	manifest, err := parsed(known(thresholds, `{"z": {"rows": -1, "quantiles": `+quantilesOf(map[int]string{7: "0.6"})+`}}`)...)
	if err != nil {
		t.Fatal(err)
	}
	v := manifest.Parts["denoiser"]["fp32"]
	if v.Percentiles["z"]["p95"] != 9.5 || v.Percentiles["z"]["p99"] != 9 || v.Normal["z"][6] != v.Normal["z"][7] {
		t.Errorf("%v %v", v.Percentiles, v.Normal)
	}
	if manifest, err = parsed(); err != nil || len(manifest.Parts["denoiser"]["fp32"].Normal) != 0 {
		t.Error(err)
	}
	const of, quantiles = "parts.denoiser.fp32.", "parts.denoiser.fp32.normal.z.quantiles"
	scores := func(list string) string { return `{"z": {"quantiles": ` + list + `}}` }
	for _, one := range []struct{ percentiles, normal, refused string }{
		{`null`, `{}`, of + "percentiles: expected an object, got null"},
		{`{"z": 9}`, `{}`, of + "percentiles.z: expected an object, got 9"},
		{`{"z": {"p99": "9"}}`, `{}`, of + `percentiles.z.p99: expected a finite number, got "9"`},
		{`{"z": {"p99": true}}`, `{}`, of + "percentiles.z.p99: expected a finite number, got true"},
		{`{"z": {"p99": 1e999}}`, `{}`, of + "percentiles.z.p99: expected a finite number, got 1e999"},
		{`{"y": {"p99": 9}}`, `{}`, of + "percentiles: expected outputs of the graph, [z], got y"},
		{thresholds, `null`, of + "normal: expected an object, got null"},
		{thresholds, `{"z": null}`, of + "normal.z: expected an object, got null"},
		{thresholds, `{"z": {}}`, quantiles + ": expected a list, got nothing"},
		{thresholds, scores("[1, 2]"), quantiles + ": expected 101 finite numbers in ascending order, got a list of 2"},
		{thresholds, scores(strings.TrimSuffix(quantilesOf(nil), "]") + ", 11]"),
			quantiles + ": expected 101 finite numbers in ascending order, got a list of 102"},
		{thresholds, scores(quantilesOf(map[int]string{3: `"0.3"`})), quantiles + `[3]: expected a finite number, got "0.3"`},
		{thresholds, scores(quantilesOf(map[int]string{9: "-1e999"})), quantiles + "[9]: expected a finite number, got -1e999"},
		{thresholds, scores(quantilesOf(map[int]string{7: "0.5"})), quantiles + "[7]: expected at least 0.6, the one before, got 0.5"},
		{`{}`, scores(quantilesOf(nil)), of + "normal: expected outputs with percentiles, [], got z"},
	} {
		if _, err := parsed(known(one.percentiles, one.normal)...); err == nil || err.Error() != one.refused {
			t.Errorf("expected %q, got %v", one.refused, err)
		}
	}
	const missing = of + "percentiles: expected an object, got nothing"
	if _, err := parsed(`"percentiles": {},`, ``); err == nil || err.Error() != missing {
		t.Error(err)
	}
}

func TestAPercentileIsTheShareOfNormalRowsWithALowerScore(t *testing.T) {
	quantiles := make(Quantiles, manyQuantiles)
	for i := range quantiles {
		quantiles[i] = float64(2*i - 50)
	}
	quantiles[11], quantiles[12] = quantiles[10], quantiles[10]
	for score, expected := range map[float64]float64{
		-51: 0, -50: 0, -49.5: 0.25, -48: 1, -47: 1.5, 149.9: 99.95, 150: 100, 151: 100,
		-30: 10, -27: 12.5, math.Inf(1): 100, math.Inf(-1): 0,
	} {
		if got := quantiles.percentile(score); math.Abs(got-expected) > 1e-9 {
			t.Errorf("%g: expected %g, got %g", score, expected, got)
		}
	}
	if got := quantiles.percentile(math.NaN()); got != 0 {
		t.Error(got)
	}
}
