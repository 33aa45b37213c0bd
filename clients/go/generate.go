package aeonnx

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Sampler opens the part that Generate runs. The error says why it cannot.
func (b *Bundle) Sampler() (*Part, error) {
	return b.partFor("sampler", "fp32", (*Variant).canGenerate)
}

// Label is the input for a label; nil where there is none.
func (p *Part) Label() *Spec { return ofKind(p.Inputs, "label") }

// ImageSizes is the size of each axis of the images of a part that Bundle.Sampler gave. The numbers are
// the sizes of the images that follow axes, such as height and width; without any, images are as large as
// those of the first golden vectors. The error says why images cannot have these sizes.
func (p *Part) ImageSizes(size ...int64) (map[string]int64, error) {
	declared := named(p.Outputs, "image").Shape[2:]
	if len(size) == 0 {
		return solve([]sized{{"size", declared, p.Golden[0].Outputs["image"].Shape[2:]}}, p.Axes)
	}
	dynamic := slices.DeleteFunc(slices.Clone(declared), func(size Size) bool { return size.Axis == "" })
	if len(dynamic) == 0 {
		return nil, errors.New("size: expected none, the images of this bundle have one size")
	}
	if len(size) != len(dynamic) {
		return nil, fmt.Errorf("size: expected %s, got %s", dynamic.listed(), crossed(size))
	}
	if slices.Min(size) < 0 || slices.Max(size) > maxSize {
		return nil, fmt.Errorf("size: expected whole numbers of at most 53 bits, got %s", crossed(size))
	}
	return solve([]sized{{"size", dynamic, size}}, p.Axes)
}

// listed is such as "2 numbers, height and width".
func (s Shape) listed() string {
	names, many := make([]string, len(s)), "s"
	for i, size := range s {
		names[i] = size.String()
	}
	if len(s) == 1 {
		many = ""
	}
	return fmt.Sprintf("%d number%s, %s", len(s), many, strings.Join(names, " and "))
}

// crossed is such as "64x48".
func crossed(sizes []int64) string {
	words := make([]string, len(sizes))
	for i, size := range sizes {
		words[i] = strconv.FormatInt(size, 10)
	}
	return strings.Join(words, "x")
}

// Generate makes images, uint8 [count, C, H, W]. Image i of a seed, of 0 or more, is the same in
// all languages, whatever the count. A sampler with a label (see Part.Label) needs one, for all images.
func (b *Bundle) Generate(seed int64, count int, label ...int64) (Tensor, error) {
	return b.GenerateSized(seed, count, nil, label...)
}

// GenerateSized makes images of a size, such as height and width: see Part.ImageSizes. Image i of a
// seed is another one at another size.
func (b *Bundle) GenerateSized(seed int64, count int, size []int64, label ...int64) (images Tensor, err error) {
	if seed < 0 || count < 1 {
		return images, fmt.Errorf("expected a seed of 0 or more and images, got seed %d and %d images",
			seed, count)
	}
	part, err := b.Sampler()
	if err != nil {
		return images, err
	}
	if err := part.requireLabel(label); err != nil {
		return images, err
	}
	sizes, err := part.ImageSizes(size...)
	if err != nil {
		return images, err
	}
	sizes[Batch] = int64(count)
	whole := part.gives(*named(part.Outputs, "image"), sizes)
	if product(whole) > maxBytes {
		return images, fmt.Errorf("images uint8 %s are more than %d bytes: ask for fewer or smaller ones",
			inWords(whole), maxBytes)
	}
	step := part.imagesAtOnce(product(whole[1:]))
	for start := 0; start < count; start += step {
		sizes[Batch] = int64(min(step, count-start))
		inputs, err := part.drawn(seed, int64(start), sizes, label)
		if err != nil {
			return images, err
		}
		found, err := part.Run(inputs)
		if err != nil {
			return images, err
		}
		if start == 0 {
			images = found["image"]
		} else {
			images = images.and(found["image"])
		}
	}
	return images, nil
}

func (p *Part) requireLabel(label []int64) error {
	if needed := p.Label() != nil; needed != (len(label) == 1) || len(label) > 1 {
		return fmt.Errorf("expected a label if the %s takes one, and none else, got %v", p.name, label)
	}
	return nil
}

const atOnce = 64 // images that the sampler makes in one run, at most

// imagesAtOnce is how many images one run makes: fewer of large ones, which would not fit into memory.
// A graph that is fixed to a number of rows runs in batches anyway.
func (p *Part) imagesAtOnce(values int64) int {
	if p.batch() > 0 {
		return atOnce
	}
	return int(max(1, min(atOnce, largestRow/values)))
}

// drawn are the inputs for images from start on, as many as sizes has rows.
func (p *Part) drawn(seed, start int64, sizes map[string]int64, label []int64) (map[string]Tensor, error) {
	inputs, rows := map[string]Tensor{}, sizes[Batch]
	for _, spec := range p.Inputs {
		var err error
		switch spec.Kind {
		case "seed":
			inputs[spec.Name] = NewTensor([]int64{seed}, 1)
		case "index":
			index := make([]int64, rows)
			for i := range index {
				index[i] = start + int64(i)
			}
			inputs[spec.Name] = NewTensor(index, rows)
		case "canvas": // its size alone is used
			shape := p.takes(spec).at(sizes)
			inputs[spec.Name] = Tensor{spec.DType, shape, make([]byte, product(shape))}
		case "label":
			inputs[spec.Name], err = p.repeated(spec.Name, label, rows)
		}
		if err != nil {
			return nil, err
		}
	}
	return inputs, nil
}

// repeated is an input that has the same number for all rows.
func (p *Part) repeated(input string, number []int64, rows int64) (Tensor, error) {
	return p.Prepare(input, NewTensor(slices.Repeat(number, int(rows)), rows))
}
