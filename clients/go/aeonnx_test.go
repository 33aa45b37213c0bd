package aeonnx

import (
	"math"
	"path/filepath"
	"slices"
	"testing"
)

// The bundles of the proof are all grey.
func TestAPictureOfAnyChannelsComesBack(t *testing.T) {
	for channels := int64(1); channels <= 4; channels++ {
		shape := []int64{channels, 5, 7}
		pixels := make([]uint8, channels*5*7)
		for i := range pixels {
			pixels[i] = uint8(i * 37)
		}
		image := NewTensor(pixels, append([]int64{1}, shape...)...)
		path := filepath.Join(t.TempDir(), "image.png")
		if err := WritePicture(path, image, false); err != nil {
			t.Fatal(err)
		}
		back, err := ReadPicture(path, shape)
		if err != nil || !slices.Equal(back.Data, pixels) {
			t.Errorf("%v: %v, expected %v, got %v", shape, err, pixels, back.Data)
		}
	}
}

func TestAGridHasGreyAroundImagesOfAnyChannels(t *testing.T) {
	for channels := int64(1); channels <= 4; channels++ {
		path, shape := filepath.Join(t.TempDir(), "grid.png"), []int64{channels, 5, 8}
		two := NewTensor(make([]uint8, 2*channels), 2, channels, 1, 1)
		if err := WritePicture(path, two, false); err != nil {
			t.Fatal(err)
		}
		got, err := ReadPicture(path, shape)
		if err != nil {
			t.Fatal(err)
		}
		for i, value := range got.Data {
			inside := i%40 == 2*8+2 || i%40 == 2*8+5
			if inside != (value == 0) || !inside && value != grey {
				t.Errorf("%d channels: value %d is %d", channels, i, value)
			}
		}
	}
}

// The bundles of the proof have not all of them.
func TestValuesOfEveryType(t *testing.T) {
	halves := map[uint16]float64{
		0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 0x0001: 0x1p-24, 0x03ff: 0x3ffp-24, 0x8000: 0,
	}
	for bits, expected := range halves {
		stored := Tensor{"float16", []int64{1}, []byte{byte(bits), byte(bits >> 8)}}
		if got := stored.value(0); got != expected {
			t.Errorf("%#x: expected %v, got %v", bits, expected, got)
		}
	}
	if got := NewTensor([]float64{1, math.Pi}, 2).value(1); got != math.Pi {
		t.Error(got)
	}
	if got := NewTensor([]int32{1, -5}, 2).value(1); got != -5 {
		t.Error(got)
	}
	if got := NewTensor([]bool{false, true}, 2).value(1); got != 1 {
		t.Error(got)
	}
	if got := NewTensor([]int64{1, -5}, 2).value(1); got != -5 {
		t.Error(got)
	}
	for _, bits := range []byte{0x7c, 0x7e, 0xfc} {
		infinite := Tensor{"float16", []int64{1}, []byte{0, bits}}
		if got := difference(infinite, infinite); !math.IsNaN(got) {
			t.Errorf("%#x: got %v", bits, got)
		}
	}
}
