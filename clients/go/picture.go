package aeonnx

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"
	"os"
)

const (
	gap  = 2   // pixels between the images of a grid
	grey = 128 // what they have in all channels
)

// ReadPicture gives the image in an 8-bit PNG file as uint8 [1, C, H, W], with its colours made C
// channels. The shape is [C, H, W]; a picture of another size is an error.
func ReadPicture(path string, shape []int64) (Tensor, error) {
	if err := requireImage(shape); err != nil {
		return Tensor{}, err
	}
	file, err := os.Open(path)
	if err != nil {
		return Tensor{}, unreadable(path, reason(err))
	}
	defer file.Close()
	// Before it is unpacked, so that a picture of another size takes no memory.
	config, err := png.DecodeConfig(file)
	if err != nil {
		return Tensor{}, unreadable(path, err)
	}
	channels, height, width := int(shape[0]), int(shape[1]), int(shape[2])
	if config.Width != width || config.Height != height {
		return Tensor{}, fmt.Errorf("%s: expected %dx%d pixels, got %dx%d: resize it first",
			path, width, height, config.Width, config.Height)
	}
	if _, err = file.Seek(0, io.SeekStart); err != nil {
		return Tensor{}, unreadable(path, reason(err))
	}
	picture, err := png.Decode(file)
	if err != nil {
		return Tensor{}, unreadable(path, err)
	}
	switch picture.(type) {
	case *image.Gray16, *image.RGBA64, *image.NRGBA64:
		return Tensor{}, unreadable(path, errors.New("it has 16 bits per value, expected 8"))
	}
	data := make([]byte, channels*height*width)
	for y := range height {
		for x := range width {
			// Exact for 8 bits: what has no alpha is shifted, what has one is taken as it is.
			c := color.NRGBAModel.Convert(picture.At(x, y)).(color.NRGBA)
			for channel, value := range channelsOf(c, channels) {
				data[(channel*height+y)*width+x] = value
			}
		}
	}
	return NewTensor(data, 1, shape[0], shape[1], shape[2]), nil
}

func unreadable(path string, err error) error {
	return fmt.Errorf("%s is not a readable PNG image: %w", path, err)
}

// channelsOf a colour, as pillow converts them.
func channelsOf(c color.NRGBA, count int) []uint8 {
	luma := uint8((19595*uint32(c.R) + 38470*uint32(c.G) + 7471*uint32(c.B) + 32768) >> 16)
	if count < 3 {
		return []uint8{luma, c.A}[:count]
	}
	return []uint8{c.R, c.G, c.B, c.A}[:count]
}

// WritePicture writes images, uint8 [n, C, H, W], as one PNG, whole or not at all: see Grid.
func WritePicture(path string, images Tensor) error {
	picture, err := Grid(images)
	if err != nil {
		return err
	}
	beside := fmt.Sprintf("%s.%d.part", path, os.Getpid())
	if err := writePNG(beside, picture); err != nil {
		os.Remove(beside)
		return fmt.Errorf("cannot write %s: %w", path, reason(err))
	}
	if err := os.Rename(beside, path); err != nil {
		os.Remove(beside)
		return fmt.Errorf("cannot write %s: %w", path, reason(err))
	}
	return nil
}

func writePNG(path string, picture image.Image) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(png.Encode(file, picture), file.Close())
}

// Grid makes one picture of images, uint8 [n, C, H, W]: about as wide as high, with a border of
// mid-grey around each; a single image has none.
func Grid(images Tensor) (image.Image, error) {
	pixels, err := Values[uint8](images)
	if err != nil {
		return nil, err
	}
	size, fits := bytesOf(images.DType, images.Shape)
	if len(images.Shape) != 4 || images.Shape[0] < 1 || !fits || size != int64(len(pixels)) {
		return nil, fmt.Errorf("expected images [n, C, H, W], got %v", images)
	}
	if err := requireImage(images.Shape[1:]); err != nil {
		return nil, err
	}
	count, channels := int(images.Shape[0]), int(images.Shape[1])
	height, width := int(images.Shape[2]), int(images.Shape[3])
	columns := int(math.Ceil(math.Sqrt(float64(count))))
	rows := (count + columns - 1) / columns
	border := gap
	if count == 1 {
		border = 0
	}
	picture := canvas(columns*(width+border)+border, rows*(height+border)+border, channels)
	for i := range count {
		left, top := border+i%columns*(width+border), border+i/columns*(height+border)
		for at := range height * width {
			colour := colourAt(pixels[i*channels*height*width:], at, height*width, channels)
			picture.Set(left+at%width, top+at/width, colour)
		}
	}
	return picture, nil
}

func canvas(width, height, channels int) draw.Image {
	bounds := image.Rect(0, 0, width, height)
	var picture draw.Image = image.NewNRGBA(bounds)
	if channels == 1 {
		picture = image.NewGray(bounds)
	}
	ground := colourAt([]uint8{grey, grey, grey, grey}, 0, 1, channels)
	for at := range width * height {
		picture.Set(at%width, at/width, ground)
	}
	return picture
}

// colourAt is a pixel of an image whose channels lie behind each other, each of a size. Grey with
// alpha becomes RGBA: image/png writes no such pictures.
func colourAt(pixels []uint8, at, size, channels int) color.Color {
	value := func(channel int) uint8 { return pixels[channel*size+at] }
	switch channels {
	case 1:
		return color.Gray{value(0)}
	case 2:
		return color.NRGBA{value(0), value(0), value(0), value(1)}
	case 3:
		return color.NRGBA{value(0), value(1), value(2), 255}
	default:
		return color.NRGBA{value(0), value(1), value(2), value(3)}
	}
}

func requireImage(shape []int64) error {
	if len(shape) == 3 && shape[0] >= 1 && shape[0] <= 4 && shape[1] > 0 && shape[2] > 0 {
		return nil
	}
	return fmt.Errorf("expected images [C, H, W] of 1 to 4 channels, got %s", inWords(shape))
}

// fromPixels makes uint8 images float32 in [0, 1].
func fromPixels(images Tensor) (Tensor, error) {
	pixels, err := Values[uint8](images)
	if err != nil {
		return Tensor{}, err
	}
	values := make([]float32, len(pixels))
	for i, pixel := range pixels {
		values[i] = float32(pixel) / 255
	}
	return NewTensor(values, images.Shape...), nil
}

// toPixels is the way back, as the graphs go it: clipped, times 255, to the nearest, ties to even.
func toPixels(images Tensor) (Tensor, error) {
	values, err := Values[float32](images)
	if err != nil {
		return Tensor{}, err
	}
	pixels := make([]uint8, len(values))
	for i, value := range values {
		pixels[i] = uint8(math.RoundToEven(float64(min(max(value, 0), 1) * 255)))
	}
	return NewTensor(pixels, images.Shape...), nil
}
