package aeonnx

import (
	"fmt"
	"os"
	"slices"

	ort "github.com/yalue/onnxruntime_go"
)

// A Part is an open graph, what Bundle.Part gives.
type Part struct {
	*Variant
	name    string
	batch   int64 // rows that it takes at once; Batch for any number
	session *ort.DynamicAdvancedSession
}

var elements = map[string]ort.TensorElementDataType{
	"float16": ort.TensorElementDataTypeFloat16,
	"float32": ort.TensorElementDataTypeFloat,
	"float64": ort.TensorElementDataTypeDouble,
	"int64":   ort.TensorElementDataTypeInt64,
	"uint8":   ort.TensorElementDataTypeUint8,
}

func newPart(name string, v *Variant, graph []byte) (*Part, error) {
	version, err := Onnxruntime()
	if err != nil {
		return nil, err
	}
	if err := requireVersion(v, version); err != nil {
		return nil, err
	}
	batch, err := batchOf(v)
	if err != nil {
		return nil, err
	}
	if err := requirePlain(v.File, graph); err != nil {
		return nil, err
	}
	// The binding opens a session of its own to read the graph's interface, and closes it.
	inputs, outputs, err := ort.GetInputOutputInfoWithONNXData(graph)
	if err != nil {
		return nil, fmt.Errorf("%s: onnxruntime %s refuses it: %w", v.File, version, err)
	}
	if err := requireSame(v.File, "input", v.Inputs, inputs); err != nil {
		return nil, err
	}
	if err := requireSame(v.File, "output", v.Outputs, outputs); err != nil {
		return nil, err
	}
	session, err := newSession(graph, v)
	if err != nil {
		return nil, fmt.Errorf("%s: onnxruntime %s refuses it: %w", v.File, version, err)
	}
	return &Part{v, name, batch, session}, nil
}

func newSession(graph []byte, v *Variant) (*ort.DynamicAdvancedSession, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer options.Destroy()
	// At batch 1 these graphs are too small for more threads.
	if err := options.SetIntraOpNumThreads(1); err != nil {
		return nil, err
	}
	// requirePlain has checked this already: weights are in the graph, and it is in ONNX's format.
	for key, value := range map[string]string{
		"session.model_external_initializers_file_folder_path": os.DevNull,
		"session.load_model_format":                            "ONNX",
	} {
		if err := options.AddSessionConfigEntry(key, value); err != nil {
			return nil, err
		}
	}
	return ort.NewDynamicAdvancedSessionWithONNXData(graph, namesOf(v.Inputs), namesOf(v.Outputs), options)
}

func requireSame(file, kind string, specs []Spec, infos []ort.InputOutputInfo) error {
	for i := range max(len(specs), len(infos)) {
		expected, got := "none", "none"
		if i < len(specs) {
			expected = specs[i].String()
		}
		if i < len(infos) {
			got = specOf(infos[i]).String()
		}
		if expected != got {
			return fmt.Errorf("%s: expected %s %s, the graph has %s", file, kind, expected, got)
		}
	}
	return nil
}

func specOf(info ort.InputOutputInfo) Spec {
	for dtype, element := range elements {
		if info.OrtValueType == ort.ONNXTypeTensor && element == info.DataType {
			return Spec{Name: info.Name, DType: dtype, Shape: info.Dimensions}
		}
	}
	return Spec{Name: info.Name, DType: info.DataType.String(), Shape: info.Dimensions}
}

// batchOf is the number of rows that a graph is fixed to, or Batch: its outputs and all its inputs
// but the seed must agree on it.
func batchOf(v *Variant) (int64, error) {
	batch := int64(Batch)
	specs := append(slices.DeleteFunc(slices.Clone(v.Inputs), isSeed), v.Outputs...)
	for i, spec := range specs {
		if len(spec.Shape) == 0 || i > 0 && spec.Shape[0] != batch {
			return 0, fmt.Errorf("%s: expected as many rows in all inputs and outputs, got %v", v.File, spec)
		}
		batch = spec.Shape[0]
		if _, err := spec.ofRows(max(batch, 1)); err != nil {
			return 0, err
		}
	}
	return batch, nil
}

// ofRows is how many bytes that number of rows takes.
func (s Spec) ofRows(rows int64) (int64, error) {
	size, fits := bytesOf(s.DType, s.shapeOf(rows))
	if !fits || size > maxBytes {
		return 0, fmt.Errorf("%d rows of %v are more than %d bytes", rows, s, maxBytes)
	}
	return size, nil
}

// shapeOf is the shape of that number of rows.
func (s Spec) shapeOf(rows int64) []int64 { return append([]int64{rows}, s.Row()...) }

// isSeed says whether an input is the seed, which is one value for all rows.
func isSeed(spec Spec) bool { return spec.Name == "seed" }

// Run gives the outputs for any number of rows, by name. A graph with a fixed batch size runs as many
// times as needed, and the last batch is padded with its last row. The error says which input is
// missing or has another dtype or shape, or why the graph failed.
func (p *Part) Run(inputs map[string]Tensor) (map[string]Tensor, error) {
	rows, err := p.rows(inputs)
	if err != nil {
		return nil, err
	}
	step := rows
	if p.batch != Batch {
		step = p.batch
	}
	outputs, err := p.runOnce(p.taken(inputs, 0, step), step)
	for start := step; err == nil && start < rows; start += step {
		var more map[string]Tensor
		more, err = p.runOnce(p.taken(inputs, start, step), step)
		for name, tensor := range more {
			outputs[name] = outputs[name].and(tensor)
		}
	}
	for name, tensor := range outputs {
		outputs[name] = tensor.rows(0, rows)
	}
	return outputs, err
}

// rows counts the rows of inputs that were checked.
func (p *Part) rows(inputs map[string]Tensor) (int64, error) {
	names := namesOf(p.Inputs)
	isMissing := func(name string) bool { return inputs[name].Data == nil }
	if len(inputs) != len(names) || slices.ContainsFunc(names, isMissing) {
		return 0, fmt.Errorf("%s: expected inputs %v, got [%s]", p.name, names, keys(inputs))
	}
	rows := int64(0)
	for _, spec := range p.Inputs {
		got := inputs[spec.Name]
		expected := slices.Clone(spec.Shape)
		if !isSeed(spec) && len(got.Shape) > 0 {
			if rows == 0 {
				rows = got.Shape[0]
			}
			expected[0] = rows
		}
		size, fits := bytesOf(got.DType, got.Shape)
		good := got.DType == spec.DType && slices.Equal(got.Shape, expected) && len(expected) > 0 &&
			slices.Min(expected) > 0 && fits && size == int64(len(got.Data))
		if !good {
			return 0, fmt.Errorf("%s: expected %v, got %v of %d bytes", p.name, spec, got, len(got.Data))
		}
	}
	return max(rows, 1), nil
}

// taken selects rows of inputs; beyond the last row, it repeats that row.
func (p *Part) taken(inputs map[string]Tensor, start, count int64) map[string]Tensor {
	taken := map[string]Tensor{}
	for _, spec := range p.Inputs {
		taken[spec.Name] = inputs[spec.Name]
		if !isSeed(spec) {
			taken[spec.Name] = inputs[spec.Name].rows(start, count)
		}
	}
	return taken
}

func (p *Part) runOnce(inputs map[string]Tensor, rows int64) (map[string]Tensor, error) {
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
		size, err := spec.ofRows(rows)
		if err != nil {
			return nil, err
		}
		if spec.DType == "float16" {
			if gives[i], err = valueOf(Tensor{spec.DType, spec.shapeOf(rows), make([]byte, size)}); err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
		}
	}
	if err := p.session.Run(takes, gives); err != nil {
		return nil, fmt.Errorf("%s: onnxruntime failed: %w", p.name, err)
	}
	outputs := map[string]Tensor{}
	for i, spec := range p.Outputs {
		got, expected := tensorOf(gives[i]), Tensor{DType: spec.DType, Shape: spec.shapeOf(rows)}
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
	case *ort.Tensor[float32]:
		return NewTensor(value.GetData(), shape...)
	case *ort.Tensor[float64]:
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

func namesOf(specs []Spec) []string {
	names := make([]string, len(specs))
	for i, spec := range specs {
		names[i] = spec.Name
	}
	return names
}
