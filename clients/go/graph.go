package aeonnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// A foreign is something that a bundle never holds, because onnxruntime would do more than compute
// with it.
type foreign string

func (what foreign) Error() string { return string(what) }

// requirePlain reads the bytes of a graph as the protobuf message that they are, before onnxruntime
// does, and refuses what a bundle never holds: operators that are not ONNX's own, subgraphs (which
// may never end), functions, weights in other files.
func requirePlain(file string, graph []byte) error {
	err := model(graph)
	if what := foreign(""); errors.As(err, &what) {
		return fmt.Errorf("%s: a bundle never holds %s", file, what)
	}
	if err != nil {
		return fmt.Errorf("%s is not an ONNX graph: %w", file, err)
	}
	return nil
}

// Wire types of protobuf.
const (
	varint    = 0
	fixed64   = 1
	delimited = 2
	fixed32   = 5
)

// A message says what to do with the content of the fields that matter; others are skipped. Numbers
// of fields are those of onnx.proto.
type message map[uint64]func(content []byte) error

// An enums says what to do with integer fields.
type enums map[uint64]func(value uint64) error

func model(data []byte) error {
	if len(data) >= 8 && string(data[4:8]) == "ORTM" {
		return errors.New("it is in onnxruntime's own format") // which onnxruntime would read it as
	}
	graphs := 0
	err := walk(data, message{
		7:  func(content []byte) error { graphs++; return graph(content) },
		8:  func(content []byte) error { return walk(content, message{1: domain}, nil) },
		20: refuse("training information"),
		25: refuse("functions"),
	}, nil)
	if err == nil && graphs == 0 {
		return errors.New("it has no graph")
	}
	return err
}

func graph(data []byte) error {
	return walk(data, message{1: node, 5: tensor, 15: refuse("sparse weights")}, nil)
}

func node(data []byte) error {
	operator, nested := "", false
	hold := func(content []byte) error {
		err := attribute(content)
		if err == errSubgraph {
			nested, err = true, nil // the operator's name may come later
		}
		return err
	}
	name := func(content []byte) error {
		operator = string(content[:min(len(content), 80)])
		nested = nested || slices.Contains([]string{"Loop", "If", "Scan", "SequenceMap"}, operator)
		return nil
	}
	err := walk(data, message{4: name, 5: hold, 7: domain}, nil)
	if err == nil && nested {
		return foreign("a subgraph (" + operator + ")")
	}
	return err
}

var errSubgraph = errors.New("a subgraph")

func attribute(data []byte) error {
	subgraph := func([]byte) error { return errSubgraph }
	kind := func(value uint64) error {
		switch uint32(value) {
		case 5, 10:
			return errSubgraph
		case 11, 12:
			return foreign("sparse weights")
		}
		return nil
	}
	return walk(data, message{
		5: tensor, 10: tensor,
		6: subgraph, 11: subgraph,
		22: refuse("sparse weights"), 23: refuse("sparse weights"),
	}, enums{20: kind})
}

func tensor(data []byte) error {
	const outside = "weights in other files"
	location := func(value uint64) error {
		if value != 0 {
			return foreign(outside)
		}
		return nil
	}
	return walk(data, message{13: refuse(outside)}, enums{14: location})
}

// dimensionsOf are the names of the axes of what a graph takes and gives, by its name; "?" for an axis
// without a name, and in place of numbers, which the binding gives.
func dimensionsOf(data []byte) (map[string][]string, error) {
	found := map[string][]string{}
	value := func(content []byte) error {
		name, sizes := "", []string{}
		dimension := func(content []byte) error {
			text := "?"
			err := walk(content, message{2: func(name []byte) error { text = string(name); return nil }}, nil)
			sizes = append(sizes, text)
			return err
		}
		shape := func(content []byte) error { return walk(content, message{1: dimension}, nil) }
		tensor := func(content []byte) error { return walk(content, message{2: shape}, nil) }
		kind := func(content []byte) error { return walk(content, message{1: tensor}, nil) }
		err := walk(content, message{1: func(text []byte) error { name = string(text); return nil }, 2: kind}, nil)
		found[name] = sizes
		return err
	}
	return found, walk(data, message{7: func(content []byte) error {
		return walk(content, message{11: value, 12: value}, nil)
	}}, nil)
}

func domain(content []byte) error {
	if name := string(content); name != "" && name != "ai.onnx" {
		return foreign(fmt.Sprintf("operators of the domain %.80q", name))
	}
	return nil
}

func refuse(what foreign) func([]byte) error { return func([]byte) error { return what } }

// walk goes over the fields of a message.
func walk(data []byte, contents message, values enums) error {
	for len(data) > 0 {
		tag, size := binary.Uvarint(data)
		if size <= 0 || tag>>3 == 0 || tag>>32 != 0 {
			return errors.New("it is cut, or not protobuf")
		}
		data = data[size:]
		field, kind := tag>>3, tag&7
		take, isContent := contents[field]
		use, isValue := values[field]
		if isContent && kind != delimited || isValue && kind != varint {
			return fmt.Errorf("field %d has wire type %d", field, kind)
		}
		value, length := uint64(0), uint64(0)
		switch kind {
		case varint, delimited:
			if value, size = binary.Uvarint(data); size <= 0 {
				return errors.New("it is cut, or not protobuf")
			}
			data = data[size:]
			if kind == delimited {
				length = value
			}
		case fixed64:
			length = 8
		case fixed32:
			length = 4
		default:
			return fmt.Errorf("field %d has wire type %d", field, kind)
		}
		if length > uint64(len(data)) {
			return fmt.Errorf("field %d is %d bytes, %d are left", field, length, len(data))
		}
		var err error
		if isContent {
			err = take(data[:length])
		}
		if isValue {
			err = use(value)
		}
		if err != nil {
			return err
		}
		data = data[length:]
	}
	return nil
}
