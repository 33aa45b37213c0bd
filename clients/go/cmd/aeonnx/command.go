package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"

	"aeonnx"
)

const usage = `Usage:
  aeonnx check BUNDLE [--time]
  aeonnx denoise BUNDLE in.png out.png [--force]
  aeonnx generate BUNDLE [--seed S] [-n N] [--label L] [--size 64x48] out.png [--force]
  aeonnx run BUNDLE PART input=in.npy ... output=out.npy ... [--force]
  aeonnx score BUNDLE FILE... [--threshold p99] [--label L] [-o scores.csv] [--force]
in.png may be a PNG, JPEG or BMP file, and so may FILE, or a .npy file of rows;
what is written is replaced only with --force; 64x48 is height x width;
scores above the threshold are odd: p99, p95 or a number`

// A command is what the arguments ask for.
type command struct {
	verb        string
	names       []string // what the usage has in their places
	time, force bool
	seed, count int64
	label       *int64  // nil if there is none
	size        []int64 // of the images, such as height and width; nil for the usual one
	threshold   string
	table       *string // the .csv to write; nil for stdout
}

var places = map[string][]string{
	"check":    {"BUNDLE"},
	"denoise":  {"BUNDLE", "in.png", "out.png"},
	"generate": {"BUNDLE", "out.png"},
	"run":      {"BUNDLE", "PART", "input=in.npy ... output=out.npy ..."},
	"score":    {"BUNDLE", "FILE..."},
}

// parse takes options before, between and behind names; the package flag stops at a name.
func parse(args []string) (command, error) {
	asked := command{count: 64, threshold: "p99"}
	if len(args) > 0 {
		asked.verb, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet(asked.verb, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	switch asked.verb {
	case "check":
		flags.BoolVar(&asked.time, "time", false, "")
	case "denoise", "run":
		flags.BoolVar(&asked.force, "force", false, "")
	case "generate":
		flags.BoolVar(&asked.force, "force", false, "")
		flags.Func("seed", "", whole(&asked.seed, 0, 63))
		flags.Func("n", "", whole(&asked.count, 1, 31))
		flags.Func("label", "", asked.setLabel)
		flags.Func("size", "", func(text string) (err error) {
			asked.size, err = sizeOf(text)
			return err
		})
	case "score":
		flags.BoolVar(&asked.force, "force", false, "")
		flags.Func("label", "", asked.setLabel)
		flags.StringVar(&asked.threshold, "threshold", asked.threshold, "")
		flags.Func("o", "", func(path string) error { asked.table = &path; return nil })
	default:
		return asked, usageError(fmt.Sprintf("expected check, denoise, generate, run or score, got %q", asked.verb))
	}
	for {
		if err := flags.Parse(args); err != nil {
			return asked, usageError(err.Error())
		}
		if flags.NArg() == 0 {
			break
		}
		asked.names, args = append(asked.names, flags.Arg(0)), flags.Args()[1:]
	}
	expected := places[asked.verb]
	many := asked.verb == "run" || asked.verb == "score"
	if got := len(asked.names); got < len(expected) || got > len(expected) && !many {
		return asked, usageError(fmt.Sprintf("%s: expected %s, got %q",
			asked.verb, strings.Join(expected, " "), asked.names))
	}
	if asked.table != nil && !strings.HasSuffix(strings.ToLower(*asked.table), ".csv") {
		return asked, usageError(*asked.table + ": expected a name that ends in .csv")
	}
	return asked, nil
}

func (c *command) setLabel(text string) error {
	label, err := strconv.ParseInt(text, 10, 64)
	if c.label = &label; err != nil {
		return errors.New("expected a whole number")
	}
	return nil
}

// labels are what a part takes: the label if it has one, else none.
func (c command) labels(name string, part *aeonnx.Part) ([]int64, error) {
	takes := part.Label()
	switch {
	case takes == nil && c.label == nil:
		return nil, nil
	case takes == nil:
		return nil, usageError("this " + name + " takes no --label")
	case c.label == nil && takes.Range == nil:
		return nil, usageError("this " + name + " needs --label")
	case c.label == nil:
		return nil, usageError(fmt.Sprintf("this %s needs --label, %g to %g", name, takes.Range[0], takes.Range[1]))
	}
	label := *c.label
	if takes.Range == nil && label < 0 {
		return nil, usageError(fmt.Sprintf("--label: expected a whole number of 0 or more, got %d", label))
	}
	if r := takes.Range; r != nil && (float64(label) < r[0] || float64(label) > r[1]) {
		return nil, usageError(fmt.Sprintf("--label: expected a whole number from %g to %g, got %d", r[0], r[1], label))
	}
	return []int64{label}, nil
}

func whole(to *int64, least uint64, bits int) func(string) error {
	return func(text string) error {
		value, err := strconv.ParseUint(text, 10, bits)
		if err != nil || value < least {
			return fmt.Errorf("expected a whole number from %d to %d", least, uint64(1)<<bits-1)
		}
		*to = int64(value)
		return nil
	}
}

// sizeOf reads such as 64x48.
func sizeOf(text string) (size []int64, err error) {
	for _, word := range strings.Split(strings.ToLower(text), "x") {
		number, err := strconv.ParseUint(word, 10, 63)
		if err != nil {
			return nil, errors.New("expected HEIGHTxWIDTH, such as 64x48")
		}
		size = append(size, int64(number))
	}
	return size, nil
}
