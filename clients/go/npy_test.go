package aeonnx

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestAnArrayComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "array.npy")
	for _, array := range []Tensor{
		NewTensor([]float32{1, -2.5, float32(math.Inf(1))}, 3), NewTensor([]float64{1, 2, 3, 4, 5, 6}, 1, 2, 3),
		NewTensor([]int64{-7}, 1, 1), NewTensor([]int32{7}), NewTensor([]bool{true, false}, 2, 1),
		NewTensor([]uint8{255, 1}, 1, 2), {"float16", []int64{2}, []byte{0, 1, 2, 3}}, NewTensor([]float32{}, 0, 5),
	} {
		if err := WriteArray(path, array, true); err != nil {
			t.Fatal(err)
		}
		got, err := ReadArray(path)
		if err != nil || !got.like(array) || !slices.Equal(got.Data, array.Data) {
			t.Errorf("%v: got %v, %v", array, got, err)
		}
		if data, _ := os.ReadFile(path); (len(data)-len(array.Data))%64 != 0 || data[len(data)-len(array.Data)-1] != '\n' {
			t.Errorf("%v: the header is not aligned", array)
		}
	}
}

// npy is a file of a format version; the length of its header is in 2 or 4 bytes.
func npy(major byte, header string, data []byte) []byte {
	length := []byte{byte(len(header)), byte(len(header) >> 8)}
	if major > 1 {
		length = append(length, 0, 0)
	}
	return slices.Concat([]byte(npyMagic), []byte{major, 0}, length, []byte(header), data)
}

func TestFilesOfNumpyAreRead(t *testing.T) {
	six := []byte{1, 2, 3, 4, 5, 6}
	for _, one := range []struct {
		major    byte
		header   string
		expected []byte
	}{
		{1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }   \n", six},
		{2, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }\n", six},
		{3, "{'shape':(2,3),'fortran_order':False,'descr':'<u1'}", six},
		{1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2L, 3L)}\n", six},
		{1, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n", []byte{1, 3, 5, 2, 4, 6}},
	} {
		got, err := parseArray(npy(one.major, one.header, six))
		if err != nil || got.String() != "uint8 [2, 3]" || !slices.Equal(got.Data, one.expected) {
			t.Errorf("%q: %v %v, %v", one.header, got, got.Data, err)
		}
	}
	last, err := parseArray(npy(1, "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 1, 3), }", make([]byte, 24)))
	if err != nil || last.String() != "int32 [2, 1, 3]" || len(last.Data) != 24 {
		t.Error(last, err)
	}
}

func TestWhatIsNoArrayIsRefused(t *testing.T) {
	entry := func(shape string) string { return "{'descr': '|u1', 'fortran_order': False, 'shape': " + shape + ", }" }
	for _, one := range []struct {
		data    []byte
		refused string
	}{
		{nil, `it does not start with \x93NUMPY`},
		{[]byte("PK\x03\x04 is what .npz files start with"), `it does not start with \x93NUMPY`},
		{npy(4, entry("(1,)"), []byte{1}), "expected format version 1.0 to 3.0, got 4.0"},
		{npy(1, entry("(1,)"), []byte{1})[:30], "its header is"},
		{npy(2, entry("(1,)"), []byte{1})[:11], "its header is"},
		{npy(1, entry("(2,)"), []byte{1}), "expected 2 bytes for uint8 [2], got 1"},
		{npy(1, entry("(2,)"), []byte{1, 2, 3}), "expected 2 bytes for uint8 [2], got 3"},
		{npy(1, entry("(9007199254740991, 9007199254740991)"), nil), "expected 9007199254740991 bytes for uint8"},
		{npy(1, entry("(9223372036854775807, 2, 0)"), []byte{1}), "expected 0 bytes for"},
		{npy(1, entry("(99999999999999999999,)"), nil), "expected a shape, got the header"},
		{npy(1, entry("(,2)"), nil), "expected a shape"},
		{npy(1, entry("2"), nil), "expected descr, fortran_order and shape, got the header"},
		{npy(1, entry("("+strings.Repeat("1,", 33)+")"), nil), "expected a shape"},
		{npy(1, "{'descr': '|u1', 'shape': (1,)}", []byte{1}), "expected fortran_order of True or False"},
		{npy(1, "{'descr': '|u1', 'fortran_order': False}", []byte{1}), "expected a shape"},
		{npy(1, "{'descr': '|u1', 'fortran_order': (1,), 'shape': (1,)}", []byte{1}), "expected fortran_order of True"},
		{npy(1, "{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (1,)}", []byte{1}), "expected descr, fortran"},
		{npy(1, "{'descr': '|u1', 'fortran_order': False, 'shape': 'x'}", []byte{1}), "expected a shape"},
		{npy(1, "{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", make([]byte, 4)), "expected little-endian values, got '>f4'"},
		{npy(1, "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", make([]byte, 4)), "expected values of bool, float16, float32"},
		{npy(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", make([]byte, 4)), "expected descr, fortran_order"},
		{npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': (1,)}", make([]byte, 4)), "expected descr, fortran_order"},
		{npy(1, "", nil), "expected descr, fortran_order and shape"},
	} {
		path := written(t, one.data)
		expected := path + " is not a readable .npy file: " + one.refused
		if got, err := ReadArray(path); err == nil || !strings.HasPrefix(err.Error(), expected) {
			t.Errorf("%q: expected %q, got %v %v", one.data, one.refused, got, err)
		}
	}
	if _, err := ReadArray(os.DevNull); err == nil || err.Error() != os.DevNull+" is not a regular file" {
		t.Error(err)
	}
	if err := WriteArray(filepath.Join(t.TempDir(), "x"), Tensor{"int16", []int64{1}, []byte{1, 2}}, false); err == nil {
		t.Error("int16 was written")
	}
}

// Any bytes are an array or refused; a program that ends here is the fault.
func FuzzAnArray(f *testing.F) {
	f.Add(npy(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2), }", make([]byte, 8)))
	f.Add(npy(3, "{'descr': '|b1', 'fortran_order': False, 'shape': (), }", make([]byte, 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if array, err := parseArray(data); err == nil && !array.whole() {
			t.Error(array)
		}
	})
}
