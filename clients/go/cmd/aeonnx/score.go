package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"aeonnx"
)

// score prints or writes a table of what files hold, once all of it is scored.
func score(bundle *aeonnx.Bundle, asked command) error {
	scorer, err := bundle.Scorer()
	if err != nil {
		return err
	}
	labels, err := asked.labels("scorer", scorer)
	if err != nil {
		return err
	}
	_, err = scorer.Threshold(asked.threshold)
	if wrong := aeonnx.ThresholdError(""); errors.As(err, &wrong) {
		return usageError(wrong)
	}
	if err != nil {
		return err
	}
	named := aeonnx.Printable // of a terminal, controls are not
	if asked.table != nil {
		named = func(name string) string { return name }
		if err := aeonnx.Writable(*asked.table, asked.force); err != nil {
			return err
		}
	}
	table := strings.Builder{}
	table.WriteString("name,score,percentile,verdict\n")
	files := asked.names[1:]
	for _, file := range files {
		names, rows, err := readRows(scorer, file, len(files) == 1)
		if err != nil {
			return err
		}
		found, err := bundle.Score(rows, asked.threshold, labels...)
		if err != nil {
			return err
		}
		for i := range found.Scores {
			table.WriteString(quoted(named(names(i))) + "," + lineOf(found, i) + "\n")
		}
	}
	if asked.table != nil {
		return aeonnx.WriteFile(*asked.table, []byte(table.String()), asked.force)
	}
	_, err = os.Stdout.WriteString(table.String())
	return err
}

// readRows reads a file, and names what is in it: a picture as the file, rows by their numbers, behind the
// name of the file unless it is the only one.
func readRows(scorer *aeonnx.Part, file string, only bool) (names func(int) string, rows aeonnx.Tensor, err error) {
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return nil, rows, fmt.Errorf("%s is a folder: name the pictures in it, such as %s",
			file, filepath.Join(file, "*.png"))
	}
	rows, isPicture, err := scorer.ReadRows(file)
	switch {
	case isPicture:
		names = func(int) string { return file }
	case only:
		names = strconv.Itoa
	default:
		names = func(i int) string { return file + ":" + strconv.Itoa(i) }
	}
	return names, rows, err
}

// lineOf is what a line of the table has behind the name.
func lineOf(found aeonnx.Scored, row int) string {
	percentile, verdict := "", "normal"
	if share := found.Percentiles[row]; !math.IsNaN(share) {
		percentile = strconv.FormatFloat(share, 'g', 6, 64)
	}
	if found.Odd[row] {
		verdict = "odd"
	}
	return decimal(found.Scores[row]) + "," + percentile + "," + verdict
}

// decimal is a number as most languages read it: "inf" where Go has "+Inf".
func decimal(score float32) string {
	text := strconv.FormatFloat(float64(score), 'g', -1, 32)
	return strings.TrimPrefix(strings.ToLower(text), "+")
}

// quoted is a value of a .csv, in quotes only where it needs them; encoding/csv has more such cases.
func quoted(value string) string {
	if !strings.ContainsAny(value, ",\"\r\n") {
		return value
	}
	return `"` + strings.ReplaceAll(value, `"`, `""`) + `"`
}
