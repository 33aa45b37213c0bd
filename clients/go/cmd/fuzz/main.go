// Command fuzz reads each FOLDER/manifests/*.json as if it were the manifest of FOLDER/bundle.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"aeonnx"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "Error: expected a folder\nUsage:\n  fuzz FOLDER")
		os.Exit(2)
	}
	bundle, manifests := filepath.Join(os.Args[1], "bundle"), filepath.Join(os.Args[1], "manifests")
	files, err := os.ReadDir(manifests) // in the order of names
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
	for _, file := range files {
		name, isManifest := strings.CutSuffix(file.Name(), ".json")
		if !isManifest {
			continue
		}
		if err := read(filepath.Join(manifests, file.Name()), bundle); err != nil {
			fmt.Printf("%s refused: %v\n", name, err)
		} else {
			fmt.Println(name, "accepted")
		}
	}
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
