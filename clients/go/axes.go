package aeonnx

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Batch is the name of the axis of rows: the first axis of a tensor.
const Batch = "batch"

// A Size of a tensor is a number, or follows an axis: Factor * axis / Divisor, of which one is 1.
type Size struct {
	text            string // as the manifest has it, and the graph
	Axis            string // "" for a number
	Factor, Divisor int64  // of a number, Factor is the number itself
}

// A Shape is the sizes of a tensor, such as those of [batch, 1, height, width].
type Shape []Size

// An Axis says which sizes a dynamic axis may have: multiples of Multiple from Min to Max.
type Axis struct {
	Multiple, Min int64
	Max           int64 // 0 without a limit
	Margin        int64 // places to either side that outputs depend on; -1 for all
}

const maxSize = 1<<53 - 1 // the largest integer that is exact in every language

var (
	anyRows  = sizeOf(Batch)
	anySize  = Axis{Multiple: 1, Min: 1}
	sizeText = regexp.MustCompile(`^(?:([1-9][0-9]{0,8})\*)?([a-z][a-z0-9_]*)(?:/([1-9][0-9]{0,8}))?$`)
)

func number(size int64) Size { return Size{strconv.FormatInt(size, 10), "", size, 1} }

// sizeOf reads "height", "height/8" or "320*frames"; what is none of them has no axis.
func sizeOf(text string) Size {
	found := sizeText.FindStringSubmatch(text)
	if found == nil || found[1] != "" && found[3] != "" {
		return Size{text: text}
	}
	size := Size{text, found[2], 1, 1}
	if found[1] != "" {
		size.Factor, _ = strconv.ParseInt(found[1], 10, 64) // it has at most 9 digits
	}
	if found[3] != "" {
		size.Divisor, _ = strconv.ParseInt(found[3], 10, 64)
	}
	return size
}

// String is such as "28", "height" or "320*frames".
func (s Size) String() string { return s.text }

// at is the size of the tensor where the axis has a size.
func (s Size) at(sizes map[string]int64) int64 {
	if s.Axis == "" {
		return s.Factor
	}
	return times(sizes[s.Axis]/s.Divisor, s.Factor)
}

// axisSize is the size of the axis where the tensor has a size; 0 if there is none above 0.
func (s Size) axisSize(size int64) int64 {
	if size%s.Factor != 0 {
		return 0
	}
	return times(size/s.Factor, s.Divisor)
}

// times multiplies numbers from 0 on. More than any size may be becomes maxSize, which no array has.
func times(a, b int64) int64 {
	if b > 0 && a > maxSize/b {
		return maxSize
	}
	return min(a*b, maxSize)
}

func product(sizes []int64) int64 {
	whole := int64(1)
	for _, size := range sizes {
		whole = times(whole, size)
	}
	return whole
}

func (s Shape) at(sizes map[string]int64) []int64 {
	found := make([]int64, len(s))
	for i, size := range s {
		found[i] = size.at(sizes)
	}
	return found
}

// fits is whether an array may have the shape: as many sizes, and the same where they are numbers.
func (s Shape) fits(given []int64) bool {
	if len(s) != len(given) {
		return false
	}
	for i, size := range s {
		if size.Axis == "" && size.Factor != given[i] || given[i] < 1 {
			return false
		}
	}
	return true
}

// String is such as "[batch, 1, height, width]".
func (s Shape) String() string {
	words := make([]string, len(s))
	for i, size := range s {
		words[i] = size.String()
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// withRows is the shape with any number of rows in place of a fixed one.
func (s Shape) withRows() Shape { return append(Shape{anyRows}, s[1:]...) }

func (a Axis) allows(size int64) bool {
	return size%a.Multiple == 0 && size >= a.Min && size <= a.most()
}

func (a Axis) most() int64 {
	if a.Max == 0 {
		return maxSize
	}
	return a.Max
}

// roundUp is the smallest allowed size from a size on; it may be more than the axis allows.
func (a Axis) roundUp(size int64) int64 { return max(roundUp(size, a.Multiple), a.Min) }

func roundUp(size, multiple int64) int64 { return (size + multiple - 1) / multiple * multiple }

// nearest is the allowed size that is nearest; of two, the larger.
func (a Axis) nearest(size int64) int64 {
	whole := (size + a.Multiple/2) / a.Multiple * a.Multiple
	return min(max(whole, a.Min), a.most()/a.Multiple*a.Multiple)
}

// String is the rule, such as "a multiple of 8 of at least 16".
func (a Axis) String() string {
	what := "a size"
	if a.Multiple > 1 {
		what = fmt.Sprintf("a multiple of %d", a.Multiple)
	}
	if a.Max == 0 {
		return fmt.Sprintf("%s of at least %d", what, a.Min)
	}
	return fmt.Sprintf("%s from %d to %d", what, a.Min, a.Max)
}

// A sized tensor has a shape that fits what is declared.
type sized struct {
	name     string
	declared Shape
	shape    []int64
}

// solve finds the sizes of all axes. An axis that is not named, the rows of a graph that is fixed to a
// number of them, may have any size.
func solve(tensors []sized, axes map[string]Axis) (map[string]int64, error) {
	found, first := map[string]int64{}, map[string]string{}
	order := []string{}
	for _, tensor := range tensors {
		for i, size := range tensor.declared {
			if size.Axis == "" {
				continue
			}
			there := size.axisSize(tensor.shape[i])
			if tensor.shape[i]%size.Factor != 0 {
				return nil, fmt.Errorf("%s: expected a multiple of %d for %v, got %d",
					tensor.name, size.Factor, size, tensor.shape[i])
			}
			before, known := found[size.Axis]
			if !known {
				found[size.Axis], first[size.Axis] = there, tensor.name
				order = append(order, size.Axis)
			} else if before != there {
				return nil, fmt.Errorf("%s: expected one size in all inputs, got %d in %s and %d in %s",
					size.Axis, before, first[size.Axis], there, tensor.name)
			}
		}
	}
	for _, name := range order {
		axis, known := axes[name]
		if !known {
			axis = anySize
		}
		if !axis.allows(found[name]) {
			return nil, fmt.Errorf("%s: %s: expected %v, got %d: the nearest is %d",
				first[name], name, axis, found[name], axis.nearest(found[name]))
		}
	}
	return found, nil
}

// axesOf are the names of the axes of tensors, each once.
func axesOf(specs ...Spec) map[string]bool {
	named := map[string]bool{}
	for _, spec := range specs {
		for _, size := range spec.Shape {
			if size.Axis != "" {
				named[size.Axis] = true
			}
		}
	}
	return named
}
