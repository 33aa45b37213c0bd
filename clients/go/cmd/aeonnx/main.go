// Command aeonnx checks a bundle, and makes images with it.
package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"aeonnx"
)

// A usageError says what is wrong with the arguments.
type usageError string

func (e usageError) Error() string { return string(e) }

var errWrong = errors.New("an output is wrong") // which its line said

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
	case "score":
		return score(bundle, asked)
	default:
		return generate(bundle, asked)
	}
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
	labels, err := asked.labels("sampler", sampler)
	if err != nil {
		return err
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
