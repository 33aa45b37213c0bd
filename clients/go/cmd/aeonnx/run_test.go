package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"aeonnx"
)

func TestWordsNameWhatIsReadAndWritten(t *testing.T) {
	v := &aeonnx.Variant{
		Inputs:  []aeonnx.Spec{{Name: "z"}, {Name: "label"}},
		Outputs: []aeonnx.Spec{{Name: "image"}, {Name: "logits"}},
	}
	for words, refused := range map[string]string{
		"z=a.npy label=b.npy image=c.npy":                "",
		"image=c.npy label=b=1.npy z=a.npy":              "",
		"z=a.npy label=b.npy":                            "name an output, such as image=out.npy",
		"z=a.npy image=c.npy":                            "decoder needs label=FILE",
		"z=a.npy y=c.npy":                                "decoder has no input or output y, it has: z, label, image, logits",
		"z=a.npy z=b.npy":                                "run: z is named twice",
		"z=a.npy image=c.npy image=d.npy":                "run: image is named twice",
		"z=a.npy label=b.npy image=c.npy logits=./c.npy": "run: ./c.npy is named for two outputs",
		"z":  `run: expected NAME=FILE, got "z"`,
		"z=": `run: expected NAME=FILE, got "z="`,
	} {
		files, err := planOf("decoder", v, strings.Fields(words))
		if refused != "" && (err == nil || err.Error() != refused || exitCode(err) != 2) {
			t.Errorf("%s: expected %q, got %v", words, refused, err)
		}
		if refused == "" && (err != nil || !maps.Equal(files.to, map[string]string{"image": "c.npy"})) {
			t.Errorf("%s: got %v, %v", words, files, err)
		}
	}
}

func TestOptionsAreTakenBetweenNames(t *testing.T) {
	asked, err := parse(strings.Fields("run B P x=a --force z=b"))
	if err != nil || !asked.force || len(asked.names) != 4 {
		t.Errorf("%+v %v", asked, err)
	}
	asked, err = parse(strings.Fields("generate B --label -3 out.png -n 2"))
	if err != nil || asked.label == nil || *asked.label != -3 || asked.count != 2 {
		t.Errorf("%+v %v", asked, err)
	}
	for words, expected := range map[string][]int64{
		"generate B out.png --size 64x48":  {64, 48},
		"generate --size 0X9 -n 2 B o.png": {0, 9},
		"generate B --size=8 out.png":      {8},
		"generate B out.png":               nil,
	} {
		if asked, err = parse(strings.Fields(words)); err != nil || !slices.Equal(asked.size, expected) {
			t.Errorf("%s: %v %v", words, asked.size, err)
		}
	}
	for _, size := range []string{"x", "64x", "64x-8", "64 48", "64x4e1", "9223372036854775808x4"} {
		_, err := parse([]string{"generate", "B", "o.png", "--size", size})
		expected := fmt.Sprintf("invalid value %q for flag -size: expected HEIGHTxWIDTH, such as 64x48", size)
		if err == nil || err.Error() != expected || exitCode(err) != 2 {
			t.Errorf("expected %q, got %v", expected, err)
		}
	}
	for _, words := range []string{"run B P", "run", "generate B o.png --label x", "check B --label 1", "denoise B a b c"} {
		if _, err := parse(strings.Fields(words)); err == nil || exitCode(err) != 2 {
			t.Errorf("%s: %v", words, err)
		}
	}
}
