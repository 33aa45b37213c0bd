package aeonnx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"slices"
	"strconv"

	"golang.org/x/image/bmp"
)

// A format of pictures: how a file of it starts, and what reads it.
type format struct {
	magic  string
	decode func(data []byte) (image.Image, error)
	config func(data []byte) (image.Config, error)
}

var formats = []format{
	{pngMagic, decoder(png.Decode), decoder(png.DecodeConfig)},
	{"\xff\xd8\xff", decoder(jpeg.Decode), decoder(jpeg.DecodeConfig)},
	{"BM", decodeBMP, decoder(bmp.DecodeConfig)},
}

const (
	// Any stands for a height or a width that a picture need not have.
	Any = 0

	mostPixels = 178_956_970 // as in Python: a small file can hold more than memory does
)

// ReadPicture gives the image in a PNG, JPEG or BMP file as uint8 [1, C, H, W], with its colours made
// C channels. The shape is [C, H, W], in which H and W may be Any; a picture of another size is an error,
// and so is one with transparent pixels where C is 1 or 3.
func ReadPicture(path string, shape []int64) (Tensor, error) {
	if len(shape) != 3 || shape[0] < 1 || shape[0] > 4 {
		return Tensor{}, fmt.Errorf("expected a shape [C, H, W] of 1 to 4 channels, got %s", inWords(shape))
	}
	data, err := readFile(path, 0, maxPicture)
	if regular, size := errNotRegular(""), (sizeError{}); errors.As(err, &regular) || errors.As(err, &size) {
		return Tensor{}, err
	}
	if err != nil {
		return Tensor{}, unreadable(path, reason(err))
	}
	picture, err := decode(path, data, shape[2], shape[1])
	if err != nil {
		return Tensor{}, err
	}
	return planes(path, picture, int(shape[0]))
}

// decode reads a picture of a size; the size is compared before anything is unpacked.
func decode(path string, data []byte, width, height int64) (picture turned, err error) {
	var found *format
	for i, format := range formats {
		if bytes.HasPrefix(data, []byte(format.magic)) {
			found = &formats[i]
		}
	}
	if found == nil {
		return picture, unreadable(path, errors.New("it starts as none of them"))
	}
	config, err := found.config(data)
	if err != nil {
		return picture, unreadable(path, err)
	}
	if config.ColorModel == color.CMYKModel {
		return picture, fmt.Errorf("%s is in CMYK, whose colours depend on its profile: "+
			"convert it to RGB first", path)
	}
	orientation, frames := besides(data)
	if frames > 1 {
		return picture, fmt.Errorf("%s holds %d pictures: expected one", path, frames)
	}
	picture.orientation, picture.size = orientation, image.Pt(config.Width, config.Height)
	if onSide(orientation) {
		picture.size = image.Pt(config.Height, config.Width)
	}
	if err := requireSize(path, picture.size, width, height); err != nil {
		return picture, err
	}
	if picture.Image, err = found.decode(data); err != nil {
		return picture, unreadable(path, err)
	}
	return picture, nil
}

func requireSize(path string, seen image.Point, width, height int64) error {
	if width != Any && width != int64(seen.X) || height != Any && height != int64(seen.Y) {
		side := func(size int64) string {
			if size == Any {
				return "any"
			}
			return strconv.FormatInt(size, 10)
		}
		return fmt.Errorf("%s: expected %sx%s pixels, got %dx%d: resize it first",
			path, side(width), side(height), seen.X, seen.Y)
	}
	if seen.X < 1 || seen.Y < 1 || seen.X > mostPixels/seen.Y {
		return fmt.Errorf("%s has %dx%d pixels: expected at most %d, resize it first", path, seen.X, seen.Y, mostPixels)
	}
	return nil
}

// planes makes channels of colours, one behind the other.
func planes(path string, picture turned, channels int) (Tensor, error) {
	width, height := picture.size.X, picture.size.Y
	data := make([]byte, channels*height*width)
	for y := range height {
		for x := range width {
			c := picture.colour(x, y)
			if c.A != 255 && channels%2 != 0 {
				return Tensor{}, fmt.Errorf("%s has transparent pixels, and the model takes none: "+
					"flatten it first", path)
			}
			for channel, value := range channelsOf(c, channels) {
				data[(channel*height+y)*width+x] = value
			}
		}
	}
	return Tensor{"uint8", []int64{1, int64(channels), int64(height), int64(width)}, data}, nil
}

func unreadable(path string, err error) error {
	return fmt.Errorf("%s is not a readable PNG, JPEG or BMP image: %w", path, err)
}

// channelsOf a colour, as pillow converts them.
func channelsOf(c color.NRGBA, count int) []uint8 {
	luma := uint8((19595*uint32(c.R) + 38470*uint32(c.G) + 7471*uint32(c.B) + 32768) >> 16)
	if count < 3 {
		return []uint8{luma, c.A}[:count]
	}
	return []uint8{c.R, c.G, c.B, c.A}[:count]
}

// eight is a colour in 8 bits: of 16 the upper ones.
func eight(c color.Color) color.NRGBA {
	switch c := c.(type) {
	case color.NRGBA64: // color.NRGBAModel would go through multiplied alpha
		return color.NRGBA{uint8(c.R >> 8), uint8(c.G >> 8), uint8(c.B >> 8), uint8(c.A >> 8)}
	case color.YCbCr: // rounded as libjpeg does, which pillow has
		y, cb, cr := int(c.Y), int(c.Cb)-128, int(c.Cr)-128
		level := func(chroma int) uint8 { return uint8(min(max(y+(chroma+1<<15)>>16, 0), 255)) }
		return color.NRGBA{level(91881 * cr), level(-22554*cb - 46802*cr), level(116130 * cb), 255}
	}
	// Exact: what has no alpha is shifted, what has one is taken as it is.
	return color.NRGBAModel.Convert(c).(color.NRGBA)
}

func decoder[T any](read func(io.Reader) (T, error)) func([]byte) (T, error) {
	return func(data []byte) (T, error) { return read(bytes.NewReader(data)) }
}

// decodeBMP takes alpha only where the header says that there is some, as pillow does.
func decodeBMP(data []byte) (image.Image, error) {
	picture, err := bmp.Decode(bytes.NewReader(withAllColours(data)))
	const bitFields = 3
	if withAlpha, is32 := picture.(*image.NRGBA); is32 && binary.LittleEndian.Uint32(data[30:]) != bitFields {
		for i := 3; i < len(withAlpha.Pix); i += 4 {
			withAlpha.Pix[i] = 255
		}
	}
	return picture, err
}

// withAllColours is a BMP file, whose header was read, with black for the colours that its table lacks: a
// pixel may have their number, which the decoder refuses.
func withAllColours(data []byte) []byte {
	const startAt, bitsAt, usedAt = 10, 28, 46
	bits, used := binary.LittleEndian.Uint16(data[bitsAt:]), binary.LittleEndian.Uint32(data[usedAt:])
	if bits > 8 || used == 0 || used >= 1<<bits { // 0: all of them
		return data
	}
	start := binary.LittleEndian.Uint32(data[startAt:]) // of the pixels, right behind the table
	black := make([]byte, 4*(1<<bits-used))
	found := slices.Concat(data[:start], black, data[start:])
	binary.LittleEndian.PutUint32(found[startAt:], start+uint32(len(black)))
	binary.LittleEndian.PutUint32(found[usedAt:], 0)
	return found
}
