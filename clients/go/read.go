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

// ReadPicture gives the image in a PNG, JPEG or BMP file as uint8 [1, C, H, W], with its colours made
// C channels. The shape is [C, H, W]; a picture of another size is an error, and so is one with
// transparent pixels where C is 1 or 3.
func ReadPicture(path string, shape []int64) (Tensor, error) {
	if err := requireImage(shape); err != nil {
		return Tensor{}, err
	}
	data, err := readFile(path, 0, maxPicture)
	if regular, size := errNotRegular(""), (sizeError{}); errors.As(err, &regular) || errors.As(err, &size) {
		return Tensor{}, err
	}
	if err != nil {
		return Tensor{}, unreadable(path, reason(err))
	}
	picture, orientation, err := decode(path, data, int(shape[2]), int(shape[1]))
	if err != nil {
		return Tensor{}, err
	}
	return planes(path, turned{picture, orientation}, shape)
}

// decode reads a picture of a size; the size is compared before anything is unpacked.
func decode(path string, data []byte, width, height int) (picture image.Image, orientation int, err error) {
	var found *format
	for i, format := range formats {
		if bytes.HasPrefix(data, []byte(format.magic)) {
			found = &formats[i]
		}
	}
	if found == nil {
		return nil, 0, unreadable(path, errors.New("it starts as none of them"))
	}
	config, err := found.config(data)
	if err != nil {
		return nil, 0, unreadable(path, err)
	}
	if config.ColorModel == color.CMYKModel {
		return nil, 0, fmt.Errorf("%s is in CMYK, whose colours depend on its profile: "+
			"convert it to RGB first", path)
	}
	orientation, frames := besides(data)
	if frames > 1 {
		return nil, 0, fmt.Errorf("%s holds %d pictures: expected one", path, frames)
	}
	seen := [2]int{config.Width, config.Height}
	if onSide(orientation) {
		seen = [2]int{config.Height, config.Width}
	}
	if seen != [2]int{width, height} {
		return nil, 0, fmt.Errorf("%s: expected %dx%d pixels, got %dx%d: resize it first",
			path, width, height, seen[0], seen[1])
	}
	if picture, err = found.decode(data); err != nil {
		return nil, 0, unreadable(path, err)
	}
	return picture, orientation, nil
}

// planes makes channels of colours, one behind the other.
func planes(path string, picture turned, shape []int64) (Tensor, error) {
	channels, height, width := int(shape[0]), int(shape[1]), int(shape[2])
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
	return NewTensor(data, 1, shape[0], shape[1], shape[2]), nil
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
	picture, err := bmp.Decode(bytes.NewReader(data))
	const bitFields = 3
	if withAlpha, is32 := picture.(*image.NRGBA); is32 && binary.LittleEndian.Uint32(data[30:]) != bitFields {
		for i := 3; i < len(withAlpha.Pix); i += 4 {
			withAlpha.Pix[i] = 255
		}
	}
	return picture, err
}
