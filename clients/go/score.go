package aeonnx

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// Scored says of each row how unlike those of the training it is.
type Scored struct {
	Scores      []float32 // the larger, the less a row is like those of the training; +Inf where the network overflows
	Percentiles []float64 // shares of normal rows with a lower score, in %; NaN where the manifest does not say
	Odd         []bool    // whether the score is above the threshold
	Threshold   float64
}

// A ThresholdError says that a threshold is neither a number nor one that the manifest has.
type ThresholdError string

func (e ThresholdError) Error() string { return string(e) }

// Scorer opens the part that Score runs. The error says why it cannot.
func (b *Bundle) Scorer() (*Part, error) {
	return b.partFor("scorer", "fp32", (*Variant).canScore)
}

// Score says how unlike those of the training rows are: an array of the dtype and shape of the scorer's
// input (floats of 16 and 64 bits become float32), or pictures, uint8 [n, C, H, W], where it takes images.
// Values may be outside of the range of the input. The threshold is a number, or the name of one in the
// manifest, such as "p99"; see Part.Threshold. A scorer with a label (see Part.Label) needs one, for all rows.
func (b *Bundle) Score(rows Tensor, threshold string, label ...int64) (Scored, error) {
	part, err := b.Scorer()
	if err != nil {
		return Scored{}, err
	}
	limit, err := part.Threshold(threshold)
	if err != nil {
		return Scored{}, err
	}
	inputs, err := part.scored(rows, label)
	if err != nil {
		return Scored{}, err
	}
	found, err := part.Run(inputs)
	if err != nil {
		return Scored{}, err
	}
	scores, err := Values[float32](found[part.score()])
	if err != nil {
		return Scored{}, err
	}
	return part.judged(scores, limit), nil
}

// score is the output that says how odd a row is: the first of the kind.
func (v *Variant) score() string { return ofKind(v.Outputs, "score").Name }

var (
	decimal    = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
	percentile = regexp.MustCompile(`^p[0-9]+$`)
)

// Threshold is the number that a text stands for, of a part that Bundle.Scorer gave: such as "p99", below
// which 99 % of normal rows are, or "0.02". The error is a ThresholdError if it is neither, of this bundle.
func (v *Variant) Threshold(text string) (float64, error) {
	number, err := strconv.ParseFloat(text, 64) // an infinite one is an error, unless it is called so
	if err == nil && decimal.MatchString(text) {
		return number, nil
	}
	known := v.Percentiles[v.score()]
	if number, there := known[text]; there {
		return number, nil
	}
	expected := "a number"
	if len(known) > 0 {
		expected = keys(known) + " or a number"
	} else if percentile.MatchString(text) {
		return 0, errors.New("threshold " + text + ": the manifest says nothing about the scores of normal images: " +
			"give a number, or export again with --calibration IMAGES")
	}
	return 0, ThresholdError("threshold: expected " + expected + ", got " + text)
}

// scorable is an array as rows that are scored. What is odd may be outside of the range; of a row without
// any value nothing can be said.
func (p *Part) scorable(array Tensor) (Tensor, error) {
	input := p.Inputs[0]
	rows, err := p.prepared(input.Name, array, false)
	if err == nil && input.Missing {
		if err = rows.requireSome(); err != nil {
			err = fmt.Errorf("%s: %s: %w", p.name, input.Name, err)
		}
	}
	return rows, err
}

// scored are the inputs for rows that are scored.
func (p *Part) scored(rows Tensor, label []int64) (map[string]Tensor, error) {
	if err := p.requireLabel(label); err != nil {
		return nil, err
	}
	input, err := p.Inputs[0], error(nil)
	if rows.DType == "uint8" && input.DType == "float32" && p.scoresPictures() {
		if rows, err = fromPixels(rows, input.Range); err != nil {
			return nil, err
		}
	}
	if rows, err = p.scorable(rows); err != nil {
		return nil, err
	}
	inputs := map[string]Tensor{input.Name: rows}
	if spec := p.Label(); spec != nil {
		inputs[spec.Name], err = p.repeated(spec.Name, label, rows.Shape[0])
	}
	return inputs, err
}

// judged compares scores with a threshold, and with those of normal rows.
func (v *Variant) judged(scores []float32, limit float64) Scored {
	found := Scored{scores, make([]float64, len(scores)), make([]bool, len(scores)), limit}
	quantiles, known := v.Normal[v.score()]
	for i, score := range scores {
		if math.IsNaN(float64(score)) { // of a network that overflows: NaN would be above no threshold
			score = float32(math.Inf(1))
			scores[i] = score
		}
		found.Odd[i] = score > float32(limit)
		found.Percentiles[i] = math.NaN()
		if known {
			found.Percentiles[i] = quantiles.percentile(float64(score))
		}
	}
	return found
}

// ReadRows reads what Score scores, of a part that Bundle.Scorer gave: a picture as ReadPicture does, where
// the part takes images, or the rows in a .npy file, which must be of the dtype of its input.
func (p *Part) ReadRows(path string) (rows Tensor, isPicture bool, err error) {
	input := p.Inputs[0]
	isArray, unreadable := startsWith(path, npyMagic)
	if p.scoresPictures() && !isArray {
		rows, err = ReadPicture(path, p.Picture())
		return rows, true, err
	}
	if !isArray && unreadable == nil {
		return rows, false, fmt.Errorf("%s: this scorer takes %s %v: give a .npy file of rows",
			path, input.Kind, p.takes(input))
	}
	if rows, err = ReadArray(path); err == nil {
		rows, err = p.scorable(rows)
	}
	return rows, false, err
}
