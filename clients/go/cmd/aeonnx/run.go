package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"aeonnx"
)

// A plan says which files are read for the inputs of a part, and which are written of its outputs.
type plan struct{ from, to map[string]string }

// runPart runs a part on .npy files.
func runPart(bundle *aeonnx.Bundle, name string, words []string, force bool) error {
	part, err := bundle.Part(name, "fp32")
	if err != nil {
		return err
	}
	files, err := planOf(name, part.Variant, words)
	if err != nil {
		return err
	}
	for _, spec := range part.Outputs {
		if path, wanted := files.to[spec.Name]; wanted {
			if err := aeonnx.Writable(path, force); err != nil {
				return err
			}
		}
	}
	inputs := map[string]aeonnx.Tensor{}
	for _, spec := range part.Inputs {
		array, err := aeonnx.ReadArray(files.from[spec.Name])
		if err != nil {
			return err
		}
		if inputs[spec.Name], err = part.Prepare(spec.Name, array); err != nil {
			return err
		}
	}
	outputs, err := part.Run(inputs)
	if err != nil {
		return err
	}
	for _, spec := range part.Outputs {
		if path, wanted := files.to[spec.Name]; wanted {
			if err := aeonnx.WriteArray(path, outputs[spec.Name], force); err != nil {
				return err
			}
		}
	}
	return nil
}

// planOf reads words such as x=in.npy. All inputs must be among them, and an output at least.
func planOf(part string, v *aeonnx.Variant, words []string) (plan, error) {
	inputs, outputs := named(v.Inputs), named(v.Outputs)
	files, written := plan{map[string]string{}, map[string]string{}}, []string{}
	for _, word := range words {
		name, path, isPair := strings.Cut(word, "=")
		if !isPair || path == "" {
			return files, usageError(fmt.Sprintf("run: expected NAME=FILE, got %q", word))
		}
		to := files.from
		if !slices.Contains(inputs, name) {
			to = files.to
			if !slices.Contains(outputs, name) {
				return files, usageError(fmt.Sprintf("%s has no input or output %s, it has: %s", part, name,
					strings.Join(slices.Concat(inputs, outputs), ", ")))
			}
			if slices.Contains(written, filepath.Clean(path)) {
				return files, usageError(fmt.Sprintf("run: %s is named for two outputs", path))
			}
			written = append(written, filepath.Clean(path))
		}
		if _, twice := to[name]; twice {
			return files, usageError(fmt.Sprintf("run: %s is named twice", name))
		}
		to[name] = path
	}
	for _, name := range inputs {
		if files.from[name] == "" {
			return files, usageError(fmt.Sprintf("%s needs %s=FILE", part, name))
		}
	}
	if len(files.to) == 0 {
		return files, usageError(fmt.Sprintf("name an output, such as %s=out.npy", outputs[0]))
	}
	return files, nil
}

func named(specs []aeonnx.Spec) []string {
	names := make([]string, len(specs))
	for i, spec := range specs {
		names[i] = spec.Name
	}
	return names
}
