// Command aeonnx checks a bundle, and makes images with it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"aeonnx"
)

const usage = `Usage:
  aeonnx check BUNDLE [--time]
  aeonnx denoise BUNDLE in.png out.png [--force]
  aeonnx generate BUNDLE [--seed S] [-n N] [--label L] [--size 64x48] out.png [--force]
  aeonnx run BUNDLE PART input=in.npy ... output=out.npy ... [--force]
in.png may be a PNG, JPEG or BMP file; what is written is replaced only with --force;
64x48 is height x width`

// A usageError says what is wrong with the arguments.
type usageError string

func (e usageError) Error() string { return string(e) }

var errWrong = errors.New("an output is wrong") // which its line said

// A command is what the arguments ask for.
type command struct {
	verb        string
	names       []string // what the usage has in their places
	time, force bool
	seed, count int64
	label       *int64  // nil if there is none
	size        []int64 // of the images, such as height and width; nil for the usual one
}

var places = map[string][]string{
	"check":    {"BUNDLE"},
	"denoise":  {"BUNDLE", "in.png", "out.png"},
	"generate": {"BUNDLE", "out.png"},
	"run":      {"BUNDLE", "PART", "input=in.npy ... output=out.npy ..."},
}

func main() {
	err := run(os.Args[1:])
	if err != nil && err != errWrong {
		fmt.Fprintln(os.Stderr, "Error:", aeonnx.Printable(err.Error()))
	}
	if _, wrong := err.(usageError); wrong {
		fmt.Fprintln(os.Stderr, usage)
	}
	os.Exit(exitCode(err))
}

func exitCode(err error) int {
	var arguments usageError
	var library aeonnx.LibraryError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &arguments):
		return 2
	case err == errWrong:
		return 3
	case errors.As(err, &library):
		return 4
	default:
		return 1
	}
}

func run(args []string) (err error) {
	defer func() {
		if problem := recover(); problem != nil { // of a library, for instance
			err = fmt.Errorf("this is a bug: %v", problem)
		}
	}()
	asked, err := parse(args)
	if err != nil {
		return err
	}
	bundle, err := aeonnx.Open(asked.names[0])
	if err != nil {
		return err
	}
	defer bundle.Close()
	switch asked.verb {
	case "check":
		return check(bundle, asked.time)
	case "denoise":
		return denoise(bundle, asked.names[1], asked.names[2], asked.force)
	case "run":
		return runPart(bundle, asked.names[1], asked.names[2:], asked.force)
	default:
		return generate(bundle, asked)
	}
}

// parse takes options before, between and behind names; the package flag stops at a name.
func parse(args []string) (command, error) {
	asked := command{count: 64}
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
		flags.Func("label", "", func(text string) error {
			label, err := strconv.ParseInt(text, 10, 64)
			if asked.label = &label; err != nil {
				return errors.New("expected a whole number")
			}
			return nil
		})
		flags.Func("size", "", func(text string) (err error) {
			asked.size, err = sizeOf(text)
			return err
		})
	default:
		return asked, usageError(fmt.Sprintf("expected check, denoise, generate or run, got %q", asked.verb))
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
	if got := len(asked.names); got < len(expected) || got > len(expected) && asked.verb != "run" {
		return asked, usageError(fmt.Sprintf("%s: expected %s, got %q",
			asked.verb, strings.Join(expected, " "), asked.names))
	}
	return asked, nil
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

func check(bundle *aeonnx.Bundle, timed bool) error {
	wrong, outputs, parts := error(nil), 0, bundle.Manifest.Parts
	for _, part := range slices.Sorted(maps.Keys(parts)) {
		for _, variant := range slices.Sorted(maps.Keys(parts[part])) {
			results, err := bundle.Check(part, variant)
			if err != nil {
				return err
			}
			for _, result := range results {
				fmt.Println(result)
				if outputs++; !result.OK() {
					wrong = errWrong
				}
			}
			if timed {
				taken, err := bundle.Time(part, variant)
				if err != nil {
					return err
				}
				fmt.Printf("time %s %s: %.1f us for one row\n", part, variant, float64(taken.Nanoseconds())/1e3)
			}
		}
	}
	version, err := aeonnx.Onnxruntime()
	if err != nil {
		return err
	}
	fmt.Printf("checked %d outputs of %d parts with onnxruntime %s\n", outputs, len(parts), version)
	return wrong
}

func denoise(bundle *aeonnx.Bundle, from, to string, force bool) error {
	denoiser, err := bundle.Denoiser()
	if err != nil {
		return err
	}
	if err := aeonnx.Writable(to, force); err != nil {
		return err
	}
	pixels, err := aeonnx.ReadPicture(from, denoiser.Picture())
	if err != nil {
		return err
	}
	clean, err := bundle.Denoise(pixels)
	if err != nil {
		return err
	}
	return aeonnx.WritePicture(to, clean, force)
}

func generate(bundle *aeonnx.Bundle, asked command) error {
	sampler, err := bundle.Sampler()
	if err != nil {
		return err
	}
	labels := []int64{}
	if asked.label != nil {
		labels = append(labels, *asked.label)
	}
	switch takes := sampler.Label(); {
	case takes != nil && len(labels) == 0:
		return usageError("this sampler needs --label" + from(takes.Range))
	case takes == nil && len(labels) > 0:
		return usageError("this sampler takes no --label")
	}
	if _, err := sampler.ImageSizes(asked.size...); err != nil {
		return usageError(err.Error())
	}
	to := asked.names[1]
	if err := aeonnx.Writable(to, asked.force); err != nil {
		return err
	}
	images, err := bundle.GenerateSized(asked.seed, int(asked.count), asked.size, labels...)
	if err != nil {
		return err
	}
	return aeonnx.WritePicture(to, images, asked.force)
}

func from(span []float64) string {
	if span == nil {
		return ""
	}
	return fmt.Sprintf(", %g to %g", span[0], span[1])
}
