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
	session *ort.DynamicAdvancedSession
}

var elements = map[string]ort.TensorElementDataType{
	"bool":    ort.TensorElementDataTypeBool,
	"float16": ort.TensorElementDataTypeFloat16,
	"float32": ort.TensorElementDataTypeFloat,
	"float64": ort.TensorElementDataTypeDouble,
	"int32":   ort.TensorElementDataTypeInt32,
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
	if err := requirePlain(v.File, graph); err != nil {
		return nil, err
	}
	// The binding opens a session of its own to read the graph's interface, and closes it.
	inputs, outputs, err := ort.GetInputOutputInfoWithONNXData(graph)
	if err != nil {
		return nil, fmt.Errorf("%s: onnxruntime %s refuses it: %w", v.File, version, err)
	}
	named, err := dimensionsOf(graph)
	if err != nil {
		return nil, fmt.Errorf("%s is not an ONNX graph: %w", v.File, err)
	}
	if err := requireSame(v.File, "input", v.Inputs, inputs, named); err != nil {
		return nil, err
	}
	if err := requireSame(v.File, "output", v.Outputs, outputs, named); err != nil {
		return nil, err
	}
	session, err := newSession(graph, v)
	if err != nil {
		return nil, fmt.Errorf("%s: onnxruntime %s refuses it: %w", v.File, version, err)
	}
	return &Part{v, name, session}, nil
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

// requireSame compares what the graph takes or gives with the manifest. The binding says nothing of the
// names of axes, so these are read from the graph's bytes.
func requireSame(file, kind string, specs []Spec, infos []ort.InputOutputInfo, named map[string][]string) error {
	for i := range max(len(specs), len(infos)) {
		expected, got := Spec{}, Spec{}
		if i < len(specs) {
			expected = specs[i]
		}
		if i < len(infos) {
			got = specOf(infos[i], named[infos[i].Name])
		}
		same := expected.Name == got.Name && expected.DType == got.DType &&
			slices.Equal(expected.Shape, got.Shape)
		if !same || i >= len(specs) || i >= len(infos) {
			return fmt.Errorf("%s: expected %s %s, the graph has %s", file, kind, orNone(expected), orNone(got))
		}
	}
	return nil
}

func orNone(spec Spec) string {
	if spec.Name == "" && spec.DType == "" {
		return "none"
	}
	return spec.String()
}

func specOf(info ort.InputOutputInfo, named []string) Spec {
	spec := Spec{Name: info.Name, DType: info.DataType.String()}
	for dtype, element := range elements {
		if info.OrtValueType == ort.ONNXTypeTensor && element == info.DataType {
			spec.DType = dtype
		}
	}
	for i, size := range info.Dimensions {
		switch {
		case size > 0:
			spec.Shape = append(spec.Shape, number(size))
		case i < len(named):
			spec.Shape = append(spec.Shape, sizeOf(named[i]))
		default:
			spec.Shape = append(spec.Shape, sizeOf("?"))
		}
	}
	return spec
}

func namesOf(specs []Spec) []string {
	names := make([]string, len(specs))
	for i, spec := range specs {
		names[i] = spec.Name
	}
	return names
}
