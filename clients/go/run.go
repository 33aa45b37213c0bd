package aeonnx

import (
	"fmt"
	"maps"
	"slices"

	ort "github.com/yalue/onnxruntime_go"
)

// Run gives the outputs for any number of rows, and any sizes that the axes allow, by name. A graph with
// a fixed batch size runs as many times as needed, and the last batch is padded with its last row; large
// rows run one by one in tiles. The error says which input is missing or has another dtype or shape, or
// why the graph failed.
func (p *Part) Run(inputs map[string]Tensor) (map[string]Tensor, error) {
	sizes, err := p.sizes(inputs)
	if err != nil {
		return nil, err
	}
	rows := sizes[Batch]
	step, run := rows, runner(p.runOnce)
	if p.inTiles(sizes) {
		step = 1
		run = func(inputs map[string]Tensor, sizes map[string]int64) (map[string]Tensor, error) {
			return p.runTiles(p.runOnce, inputs, sizes)
		}
	}
	if batch := p.batch(); batch > 0 {
		step = batch
	}
	if err := p.requireRoom(sizes, roundUp(rows, step)); err != nil {
		return nil, err
	}
	sizes[Batch] = step
	outputs := map[string]Tensor{}
	for start := int64(0); start < rows; start += step {
		found, err := run(p.taken(inputs, start, step), sizes)
		if err != nil {
			return nil, err
		}
		for name, tensor := range found {
			if start > 0 {
				tensor = outputs[name].and(tensor)
			}
			outputs[name] = tensor
		}
	}
	for name, tensor := range outputs {
		outputs[name] = tensor.rows(0, rows)
	}
	return outputs, nil
}

// sizes checks the inputs, and gives the size of each axis, that of rows included.
func (p *Part) sizes(inputs map[string]Tensor) (map[string]int64, error) {
	names := namesOf(p.Inputs)
	isMissing := func(name string) bool { return inputs[name].Data == nil }
	if len(inputs) != len(names) || slices.ContainsFunc(names, isMissing) {
		return nil, fmt.Errorf("%s: expected inputs %v, got [%s]", p.name, names, keys(inputs))
	}
	given := []sized{}
	for _, spec := range p.Inputs {
		got, declared := inputs[spec.Name], p.takes(spec)
		if got.DType != spec.DType || !declared.fits(got.Shape) {
			return nil, fmt.Errorf("%s: %s: expected %s %v, got %v", p.name, spec.Name, spec.DType, declared, got)
		}
		if !got.whole() {
			return nil, fmt.Errorf("%s: %s: expected the bytes of %v, got %d bytes", p.name, spec.Name, got,
				len(got.Data))
		}
		given = append(given, sized{spec.Name, declared, got.Shape})
	}
	sizes, err := solve(given, p.Axes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return sizes, nil
}

// requireRoom refuses what would be too large with a number of rows, before it is made: outputs, and
// inputs that are padded to a batch.
func (p *Part) requireRoom(sizes map[string]int64, rows int64) error {
	padded := maps.Clone(sizes)
	padded[Batch] = rows
	made := []Tensor{}
	for _, spec := range p.Outputs {
		made = append(made, Tensor{DType: spec.DType, Shape: p.gives(spec, padded)})
	}
	for _, spec := range p.Inputs {
		if rows > sizes[Batch] {
			made = append(made, Tensor{DType: spec.DType, Shape: p.takes(spec).at(padded)})
		}
	}
	for _, tensor := range made {
		if bytesOf(tensor.DType, tensor.Shape) > maxBytes {
			return fmt.Errorf("%s: %v is more than %d bytes: give less at once", p.name, tensor, maxBytes)
		}
	}
	return nil
}

// gives is the shape of an output.
func (p *Part) gives(spec Spec, sizes map[string]int64) []int64 {
	return spec.Shape.withRows().at(sizes)
}

// taken selects rows of inputs; beyond the last row, it repeats that row.
func (p *Part) taken(inputs map[string]Tensor, start, count int64) map[string]Tensor {
	taken := map[string]Tensor{}
	for _, spec := range p.Inputs {
		taken[spec.Name] = inputs[spec.Name]
		if p.hasRows(spec) {
			taken[spec.Name] = inputs[spec.Name].rows(start, count)
		}
	}
	return taken
}

// runOnce gives the outputs of inputs that were checked, all at once.
func (p *Part) runOnce(inputs map[string]Tensor, sizes map[string]int64) (map[string]Tensor, error) {
	takes, gives := []ort.Value{}, make([]ort.Value, len(p.Outputs))
	defer func() {
		for _, value := range slices.Concat(takes, gives) {
			if value != nil {
				value.Destroy()
			}
		}
	}()
	for _, spec := range p.Inputs {
		value, err := valueOf(inputs[spec.Name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		takes = append(takes, value)
	}
	for i, spec := range p.Outputs {
		// onnxruntime makes room for what the graph really gives, which is compared afterwards. The
		// binding reads no float16 so; for that there is room of the right size, or an error.
		if spec.DType != "float16" {
			continue
		}
		room := Tensor{DType: spec.DType, Shape: p.gives(spec, sizes)}
		room.Data = make([]byte, bytesOf(room.DType, room.Shape))
		value, err := valueOf(room)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		gives[i] = value
	}
	if err := p.session.Run(takes, gives); err != nil {
		return nil, fmt.Errorf("%s: onnxruntime failed: %w", p.name, err)
	}
	outputs := map[string]Tensor{}
	for i, spec := range p.Outputs {
		got, expected := tensorOf(gives[i]), Tensor{DType: spec.DType, Shape: p.gives(spec, sizes)}
		if !got.like(expected) {
			return nil, fmt.Errorf("%s gave %s %v, expected %v: export the bundle again",
				p.File, spec.Name, got, expected)
		}
		outputs[spec.Name] = got
	}
	return outputs, nil
}

// valueOf is a view: onnxruntime reads and writes the tensor's own bytes.
func valueOf(t Tensor) (ort.Value, error) {
	return ort.NewCustomDataTensor(t.Shape, t.Data, elements[t.DType])
}

// tensorOf copies a value; one of a type that no bundle has comes without its data.
func tensorOf(value ort.Value) Tensor {
	shape := slices.Clone([]int64(value.GetShape()))
	switch value := value.(type) {
	case *ort.Tensor[bool]:
		return NewTensor(value.GetData(), shape...)
	case *ort.Tensor[float32]:
		return NewTensor(value.GetData(), shape...)
	case *ort.Tensor[float64]:
		return NewTensor(value.GetData(), shape...)
	case *ort.Tensor[int32]:
		return NewTensor(value.GetData(), shape...)
	case *ort.Tensor[int64]:
		return NewTensor(value.GetData(), shape...)
	case *ort.Tensor[uint8]:
		return NewTensor(value.GetData(), shape...)
	case *ort.CustomDataTensor:
		return Tensor{"float16", shape, value.GetData()}
	default:
		return Tensor{DType: fmt.Sprintf("%T", value), Shape: shape}
	}
}
