package aeonnx

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"
)

const (
	gap  = 2   // pixels between the images of a grid
	grey = 128 // what they have in all channels
)

// WritePicture writes images, uint8 [n, C, H, W], as one PNG, whole or not at all: see Grid. A file
// that exists is replaced only if that is asked for; see Writable.
func WritePicture(path string, images Tensor, replace bool) error {
	picture, err := Grid(images)
	if err != nil {
		return err
	}
	return writeFile(path, replace, func(to io.Writer) error { return png.Encode(to, picture) })
}

// Grid makes one picture of images, uint8 [n, C, H, W]: about as wide as high, with a border of
// mid-grey around each; a single image has none.
func Grid(images Tensor) (image.Image, error) {
	pixels, err := Values[uint8](images)
	if err != nil {
		return nil, err
	}
	if len(images.Shape) != 4 || images.Shape[0] < 1 || !images.whole() {
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
