package aeonnx

import (
	"encoding/binary"
	"slices"
	"testing"
)

// held is a field that holds contents, of less than 128 bytes.
func held(number uint64, contents ...[]byte) []byte {
	content := slices.Concat(contents...)
	data := binary.AppendUvarint(nil, number<<3|delimited)
	return append(append(data, byte(len(content))), content...)
}

func TestAGraphHoldsNothingButOperatorsAndWeights(t *testing.T) {
	text := func(words string) []byte { return []byte(words) }
	inNode := func(fields ...[]byte) []byte { return held(7, held(1, fields...)) }
	plain := inNode(held(4, text("Relu")), held(7, text("ai.onnx")))
	external := held(13, held(1, text("location")))
	for _, one := range []struct {
		holds string
		graph []byte
	}{
		{"", plain},
		{`operators of the domain "evil"`, inNode(held(7, text("evil")))},
		{`operators of the domain "com.x"`, slices.Concat(plain, held(8, held(1, text("com.x"))))},
		{"a subgraph (Loop)", inNode(held(4, text("Loop")))},
		{"a subgraph (Late)", inNode(held(5, held(6)), held(4, text("Late")))},
		{"functions", slices.Concat(plain, held(25))},
		{"training information", slices.Concat(plain, held(20))},
		{"sparse weights", held(7, held(15))},
		{"weights in other files", held(7, held(5, external))},
		{"weights in other files", inNode(held(5, held(5, external)))},
		{"weights in other files", held(7, held(5, []byte{14 << 3, 1}))},
	} {
		err := requirePlain("g.onnx", one.graph)
		if one.holds == "" && err == nil {
			continue
		}
		if expected := "g.onnx: a bundle never holds " + one.holds; err == nil || err.Error() != expected {
			t.Errorf("expected %q, got %v", expected, err)
		}
	}
	for _, graph := range [][]byte{nil, []byte("not a graph"), plain[:5], {7 << 3, 1}, []byte("\x12\x06xxORTM")} {
		if err := requirePlain("g.onnx", graph); err == nil {
			t.Errorf("%q is taken", graph)
		}
	}
}

func TestTextsAreOneLineWithoutControls(t *testing.T) {
	if got := Printable("a\x1b[\n\u009b\u202e\xffé"); got != `a\x1b[\x0a\x9b\u202e\xffé` {
		t.Error(got)
	}
}
