// Package aeonnx runs bundles of aeonnx: folders of ONNX graphs with a manifest that describes their
// inputs and outputs, and golden vectors to check them with.
package aeonnx

import (
	"fmt"
	"path/filepath"
	"sync"
)

// A Bundle is the parts of one trained model. Its methods may be called from any goroutine.
type Bundle struct {
	Folder   string
	Manifest *Manifest

	mutex sync.Mutex
	parts map[[2]string]*Part // open ones, by part and variant
}

// A Golden has the golden vectors of a graph, by name.
type Golden struct{ Inputs, Outputs map[string]Tensor }

// Open reads the manifest of the bundle in a folder. Graphs are opened at first use.
func Open(folder string) (*Bundle, error) {
	path := filepath.Join(folder, "manifest.json")
	text, err := readFile(path, 0, maxManifest)
	if isMissing(err) {
		return nil, fmt.Errorf("no bundle at %s: it has no manifest.json. "+
			"Make one with: aeonnx export --model MODEL -o %s", folder, folder)
	}
	if err != nil {
		return nil, unread(path, err)
	}
	manifest, err := ParseManifest(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Bundle{Folder: folder, Manifest: manifest}, nil
}

// Part opens a graph, or gives the open one. The error is a LibraryError if onnxruntime is missing
// or too old; else the bundle lacks the part, its file was changed, or it is another graph than the
// manifest says.
func (b *Bundle) Part(name, variant string) (*Part, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	key := [2]string{name, variant}
	if part := b.parts[key]; part != nil {
		return part, nil
	}
	v, err := b.variant(name, variant)
	if err != nil {
		return nil, err
	}
	graph, err := b.read(v.File, v.Bytes, v.SHA256)
	if err != nil {
		return nil, err
	}
	part, err := newPart(name, v, graph)
	if err != nil {
		return nil, err
	}
	if b.parts == nil {
		b.parts = map[[2]string]*Part{}
	}
	b.parts[key] = part
	return part, nil
}

// Close closes all graphs; none may be running.
func (b *Bundle) Close() {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for _, part := range b.parts {
		part.session.Destroy()
	}
	b.parts = nil
}

// Verify reads the files of a graph and compares their digests and sizes with the manifest.
func (b *Bundle) Verify(name, variant string) error {
	v, err := b.variant(name, variant)
	if err != nil {
		return err
	}
	if _, err := b.read(v.File, v.Bytes, v.SHA256); err != nil {
		return err
	}
	for _, stored := range v.Golden {
		if _, err := b.Golden(stored); err != nil {
			return err
		}
	}
	return nil
}

// Golden reads one of the golden vectors that a Variant names: stored inputs of its graph, and the outputs
// that PyTorch gave for them.
func (b *Bundle) Golden(stored StoredGolden) (golden Golden, err error) {
	if golden.Inputs, err = b.arrays(stored.Inputs); err != nil {
		return golden, err
	}
	golden.Outputs, err = b.arrays(stored.Outputs)
	return golden, err
}

func (b *Bundle) arrays(stored map[string]Stored) (map[string]Tensor, error) {
	arrays := map[string]Tensor{}
	for name, s := range stored {
		data, err := b.read(s.File, bytesOf(s.DType, s.Shape), s.SHA256)
		if err != nil {
			return nil, err
		}
		arrays[name] = Tensor{s.DType, s.Shape, data}
	}
	return arrays, nil
}

// Denoiser opens the part that Denoise runs: the variant that takes pixels, where there is one. The
// error says why it cannot.
func (b *Bundle) Denoiser() (*Part, error) {
	variant := "fp32"
	if b.Manifest.Parts["denoiser"]["fp32-uint8"] != nil {
		variant = "fp32-uint8"
	}
	return b.partFor("denoiser", variant, (*Variant).canDenoise)
}

// partFor opens a part once the manifest says that a verb can use it.
func (b *Bundle) partFor(name, variant string, can func(*Variant) error) (*Part, error) {
	v, err := b.variant(name, variant)
	if err == nil {
		err = can(v)
	}
	if err != nil {
		return nil, err
	}
	return b.Part(name, variant)
}

// Denoise removes the noise from images: uint8 [n, C, H, W] to the same shape. Where the denoiser takes
// images of many sizes, they may have any: they are padded by reflection to sizes that it takes.
func (b *Bundle) Denoise(images Tensor) (Tensor, error) {
	part, err := b.Denoiser()
	if err != nil {
		return Tensor{}, err
	}
	input, output := part.Inputs[0], part.Outputs[0]
	shape := images.Shape
	if images, err = part.padded(images); err != nil {
		return Tensor{}, err
	}
	if input.DType == "float32" {
		if images, err = fromPixels(images, input.Range); err != nil {
			return Tensor{}, err
		}
	}
	found, err := part.Run(map[string]Tensor{input.Name: images})
	if err != nil {
		return Tensor{}, err
	}
	clean := found[output.Name].block(make([]int64, len(shape)), shape)
	if output.DType == "uint8" {
		return clean, nil
	}
	return toPixels(part.name, clean, output.Range)
}

func (b *Bundle) variant(name, variant string) (*Variant, error) {
	variants := b.Manifest.Parts[name]
	if variants == nil {
		return nil, fmt.Errorf("this bundle has no part %q, it has: %s. "+
			"Export it with: aeonnx export --model %s --part %s",
			name, keys(b.Manifest.Parts), b.Manifest.Model, name)
	}
	if v := variants[variant]; v != nil {
		return v, nil
	}
	return nil, fmt.Errorf("part %q has no variant %q, it has: %s", name, variant, keys(variants))
}
