package aeonnx

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func written(t *testing.T, data []byte) string {
	path := filepath.Join(t.TempDir(), "picture")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func encoded(t *testing.T, picture image.Image) []byte {
	var data bytes.Buffer
	if err := png.Encode(&data, picture); err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}

// chunked puts a chunk behind the header of a PNG file.
func chunked(data []byte, kind string, content []byte) []byte {
	const header = 33
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(content)))
	chunk = append(append(chunk, kind...), content...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	return slices.Concat(data[:header], chunk, data[header:])
}

func refused(t *testing.T, data []byte, shape []int64, words string) {
	t.Helper()
	if _, err := ReadPicture(written(t, data), shape); err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("expected %q, got %v", words, err)
	}
}

func TestOfSixteenBitsTheUpperOnesAreTaken(t *testing.T) {
	grey := image.NewGray16(image.Rect(0, 0, 1, 1))
	grey.SetGray16(0, 0, color.Gray16{0x12ff})
	clear := image.NewNRGBA64(image.Rect(0, 0, 1, 1))
	clear.SetNRGBA64(0, 0, color.NRGBA64{0x01ff, 0x80ff, 0xfeff, 0x02ff})
	for picture, expected := range map[image.Image][]uint8{grey: {0x12, 0x12, 0x12, 255}, clear: {1, 0x80, 0xfe, 2}} {
		got, err := ReadPicture(written(t, encoded(t, picture)), []int64{4, 1, 1})
		if err != nil || !slices.Equal(got.Data, expected) {
			t.Errorf("%v: expected %v, got %v", err, expected, got.Data)
		}
	}
}

// The upper row is 0 1 2, the lower one 3 4 5.
func TestOrientationIsApplied(t *testing.T) {
	picture := image.NewGray(image.Rect(0, 0, 3, 2))
	copy(picture.Pix, []uint8{0, 1, 2, 3, 4, 5})
	seen := [][]uint8{{0, 1, 2, 3, 4, 5}, {2, 1, 0, 5, 4, 3}, {5, 4, 3, 2, 1, 0}, {3, 4, 5, 0, 1, 2},
		{0, 3, 1, 4, 2, 5}, {3, 0, 4, 1, 5, 2}, {5, 2, 4, 1, 3, 0}, {2, 5, 1, 4, 0, 3}}
	for i, expected := range seen {
		exif := []byte("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00")
		exif = append(exif, byte(i+1), 0, 0, 0, 0, 0, 0, 0)
		shape := []int64{1, 2, 3}
		if i >= 4 {
			shape = []int64{1, 3, 2}
		}
		got, err := ReadPicture(written(t, chunked(encoded(t, picture), "eXIf", exif)), shape)
		if err != nil || !slices.Equal(got.Data, expected) {
			t.Errorf("%d: %v, expected %v, got %v", i+1, err, expected, got.Data)
		}
	}
}

func TestWhatIsNoWholePictureIsRefused(t *testing.T) {
	picture := image.NewNRGBA(image.Rect(0, 0, 2, 2))
	data := encoded(t, picture)
	refused(t, data, []int64{3, 2, 2}, "has transparent pixels, and the model takes none: flatten it first")
	refused(t, data, []int64{4, 3, 2}, "expected 2x3 pixels, got 2x2: resize it first")
	frames := chunked(data, "acTL", []byte{0, 0, 0, 3, 0, 0, 0, 0})
	refused(t, frames, []int64{4, 2, 2}, "holds 3 pictures: expected one")
	for end := range data {
		refused(t, data[:end], []int64{4, 2, 2}, "is not a readable PNG, JPEG or BMP image: ")
	}
	var grey bytes.Buffer
	if err := jpeg.Encode(&grey, image.NewGray(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}
	for end := range grey.Len() {
		refused(t, grey.Bytes()[:end], []int64{1, 8, 8}, "is not a readable PNG, JPEG or BMP image: ")
	}
	for _, path := range []string{os.DevNull, t.TempDir()} {
		_, err := ReadPicture(path, []int64{1, 2, 2})
		if err == nil || err.Error() != path+" is not a regular file" {
			t.Error(err)
		}
	}
}

// paletted is a BMP file of one row of four bytes, with a table of colours, BGR.
func paletted(bits, width uint8, used uint32, table []byte, row ...byte) []byte {
	data := make([]byte, 54)
	copy(data, "BM")
	binary.LittleEndian.PutUint32(data[10:], uint32(54+len(table)))
	data[14], data[18], data[22], data[26], data[28] = 40, width, 1, 1, bits
	binary.LittleEndian.PutUint32(data[46:], used)
	return slices.Concat(data, table, row)
}

func TestANumberBeyondTheTableOfABMPIsBlack(t *testing.T) {
	table := []byte{30, 20, 10, 0, 60, 50, 40, 0}
	full := slices.Concat(table, []byte{3, 2, 1, 0}, make([]byte, 13*4))
	colours := []uint8{10, 40, 0, 20, 50, 0, 30, 60, 0, 255, 255, 255} // in planes
	last := []uint8{10, 40, 1, 20, 50, 2, 30, 60, 3, 255, 255, 255}
	for _, one := range []struct {
		data     []byte
		expected []uint8
	}{
		{paletted(8, 3, 2, table, 0, 1, 255, 0), colours},
		{paletted(4, 3, 2, table, 0x01, 0x20, 0, 0), colours},
		{paletted(1, 3, 1, table[4:], 0x5f, 0, 0, 0), []uint8{40, 0, 40, 50, 0, 50, 60, 0, 60, 255, 255, 255}},
		{paletted(4, 3, 0, full, 0x01, 0x20, 0, 0), last},
		{paletted(4, 3, 16, full, 0x01, 0x20, 0, 0), last},
	} {
		got, err := ReadPicture(written(t, one.data), []int64{4, 1, 3})
		if err != nil || !slices.Equal(got.Data, one.expected) {
			t.Errorf("%v: expected %v, got %v", err, one.expected, got.Data)
		}
		for end := range one.data {
			refused(t, one.data[:end], []int64{4, 1, 3}, "is not a readable PNG, JPEG or BMP image: ")
		}
	}
	refused(t, paletted(1, 3, 3, make([]byte, 12), 0, 0, 0, 0), []int64{4, 1, 3}, "unsupported")
}

func TestAPictureMayHaveAnySize(t *testing.T) {
	picture := image.NewGray(image.Rect(0, 0, 3, 2))
	copy(picture.Pix, []uint8{0, 1, 2, 3, 4, 5})
	data := encoded(t, picture)
	for _, shape := range [][]int64{{1, Any, Any}, {1, 2, Any}, {1, Any, 3}} {
		got, err := ReadPicture(written(t, data), shape)
		if err != nil || !slices.Equal(got.Shape, []int64{1, 1, 2, 3}) || !slices.Equal(got.Data, picture.Pix) {
			t.Errorf("%v: got %v, %v", shape, got, err)
		}
	}
	refused(t, data, []int64{1, 3, Any}, ": expected anyx3 pixels, got 3x2: resize it first")
	refused(t, data, []int64{1, Any, 2}, ": expected 2xany pixels, got 3x2: resize it first")
}

// Its pixels would be more than memory has, so they are not unpacked.
func TestAPictureOfTooManyPixelsIsRefused(t *testing.T) {
	data := encoded(t, image.NewGray(image.Rect(0, 0, 1, 1)))
	for _, size := range [][2]uint32{{60000, 3000}, {1 << 30, 1 << 30}, {1, 178_956_971}} {
		binary.BigEndian.PutUint32(data[16:], size[0])
		binary.BigEndian.PutUint32(data[20:], size[1])
		binary.BigEndian.PutUint32(data[29:], crc32.ChecksumIEEE(data[12:29]))
		refused(t, data, []int64{1, Any, Any}, "")
	}
	refused(t, data, []int64{1, Any, Any}, " has 1x178956971 pixels: expected at most 178956970, resize it first")
}
