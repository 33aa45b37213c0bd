// Command fuzz tries what is damaged: anything but an ordinary error is a fault.
package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aeonnx"
)

const usage = `Usage:
  fuzz FOLDER            each FOLDER/manifests/*.json as if it were the manifest of FOLDER/bundle
  fuzz --bundles FOLDER  all that the verbs do with each bundle FOLDER/*/, with the picture FOLDER/in.png`

func main() {
	try, folder := manifests, ""
	switch {
	case len(os.Args) == 2 && !strings.HasPrefix(os.Args[1], "-"):
		folder = os.Args[1]
	case len(os.Args) == 3 && os.Args[1] == "--bundles":
		try, folder = bundles, os.Args[2]
	default:
		fmt.Fprintln(os.Stderr, "Error: expected a folder\n"+usage)
		os.Exit(2)
	}
	if err := try(folder); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", aeonnx.Printable(err.Error()))
		os.Exit(1)
	}
}

func manifests(folder string) error {
	files, err := os.ReadDir(filepath.Join(folder, "manifests")) // in the order of names
	for _, file := range files {
		if name, isManifest := strings.CutSuffix(file.Name(), ".json"); isManifest {
			path := filepath.Join(folder, "manifests", file.Name())
			say(name, "accepted", read(path, filepath.Join(folder, "bundle")))
		}
	}
	return err
}

func read(path, folder string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	manifest, err := aeonnx.ParseManifest(text)
	if err != nil {
		return err
	}
	bundle := &aeonnx.Bundle{Folder: folder, Manifest: manifest}
	for part, variants := range manifest.Parts {
		for variant := range variants {
			if err := bundle.Verify(part, variant); err != nil {
				return err
			}
		}
	}
	return nil
}

var errWrong = errors.New("wrong")

func bundles(folder string) error {
	written, err := os.MkdirTemp("", "aeonnx-fuzz-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(written)
	entries, err := os.ReadDir(folder)
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			continue
		}
		err := all(path, filepath.Join(folder, "in.png"), filepath.Join(written, "out.png"))
		if err == errWrong {
			say(entry.Name(), "wrong", nil)
		} else {
			say(entry.Name(), "ok", err)
		}
	}
	return err
}

// all is what the verbs do with a bundle, one after the other.
func all(folder, in, out string) error {
	bundle, err := aeonnx.Open(folder)
	if err != nil {
		return err
	}
	defer bundle.Close()
	right, parts := true, bundle.Manifest.Parts
	for _, part := range slices.Sorted(maps.Keys(parts)) {
		for _, variant := range slices.Sorted(maps.Keys(parts[part])) {
			results, err := bundle.Check(part, variant)
			if err != nil {
				return err
			}
			for _, result := range results {
				right = right && result.OK()
			}
		}
	}
	if parts["denoiser"] != nil {
		if err := denoise(bundle, in, out); err != nil {
			return err
		}
	}
	if parts["sampler"] != nil {
		if err := generate(bundle, out); err != nil {
			return err
		}
	}
	if parts["scorer"] != nil {
		if err := score(bundle); err != nil {
			return err
		}
	}
	if !right {
		return errWrong
	}
	return nil
}

func denoise(bundle *aeonnx.Bundle, in, out string) error {
	denoiser, err := bundle.Denoiser()
	if err != nil {
		return err
	}
	pixels, err := aeonnx.ReadPicture(in, denoiser.Picture())
	if err != nil {
		return err
	}
	clean, err := bundle.Denoise(pixels)
	if err != nil {
		return err
	}
	return aeonnx.WritePicture(out, clean, true)
}

func generate(bundle *aeonnx.Bundle, out string) error {
	sampler, err := bundle.Sampler()
	if err != nil {
		return err
	}
	labels := []int64{}
	if sampler.Label() != nil {
		labels = append(labels, 0)
	}
	images, err := bundle.Generate(0, 3, labels...)
	if err != nil {
		return err
	}
	return aeonnx.WritePicture(out, images, true)
}

// score scores the golden rows.
func score(bundle *aeonnx.Bundle) error {
	scorer, err := bundle.Scorer()
	if err != nil {
		return err
	}
	golden, err := bundle.Golden(scorer.Golden[0])
	if err != nil {
		return err
	}
	labels := []int64{}
	if scorer.Label() != nil {
		labels = append(labels, 0)
	}
	_, err = bundle.Score(golden.Inputs[scorer.Inputs[0].Name], "0", labels...)
	return err
}

// say prints the line of a name.
func say(name, good string, err error) {
	if err != nil {
		good = "refused: " + err.Error()
	}
	fmt.Println(aeonnx.Printable(name), aeonnx.Printable(good))
}
