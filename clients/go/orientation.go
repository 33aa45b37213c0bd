package aeonnx

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
)

// A turned picture is shown by its EXIF orientation, 1 to 8.
type turned struct {
	image.Image
	orientation int
	size        image.Point // as it is shown
}

// onSide is whether what is seen is as wide as the stored picture is high.
func onSide(orientation int) bool { return orientation >= 5 }

// colour of a pixel of the picture as it is shown.
func (t turned) colour(x, y int) color.NRGBA {
	if onSide(t.orientation) {
		x, y = y, x
	}
	bounds := t.Bounds()
	switch t.orientation {
	case 2, 3, 7, 8:
		x = bounds.Dx() - 1 - x
	}
	switch t.orientation {
	case 3, 4, 6, 7:
		y = bounds.Dy() - 1 - y
	}
	return eight(t.At(bounds.Min.X+x, bounds.Min.Y+y))
}

// besides is what a PNG or JPEG file says besides its pixels, which the decoders leave out: the
// orientation, and the number of pictures.
func besides(data []byte) (orientation, frames int) {
	orientation, frames = 1, 1
	if png, is := bytes.CutPrefix(data, []byte(pngMagic)); is {
		pixels := false
		chunks(png, func(kind string, content []byte) {
			pixels = pixels || kind == "IDAT"
			switch {
			case kind == "eXIf":
				orientation = orientationIn(content)
			case kind == "acTL" && len(content) >= 4 && !pixels:
				frames = int(binary.BigEndian.Uint32(content))
			}
		})
	} else {
		segments(data, func(content []byte) { orientation = orientationIn(content) })
	}
	return orientation, frames
}

const pngMagic = "\x89PNG\r\n\x1a\n"

// chunks of a PNG file, up to where it ends or is damaged: then the decoder says so.
func chunks(data []byte, take func(kind string, content []byte)) {
	for len(data) >= 12 {
		length := int64(binary.BigEndian.Uint32(data))
		if length > int64(len(data))-12 {
			return
		}
		kind := string(data[4:8])
		take(kind, data[8:8+length])
		if kind == "IEND" {
			return
		}
		data = data[12+length:]
	}
}

// segments finds the first one with EXIF data in a JPEG file, before the pixels.
func segments(data []byte, take func(content []byte)) {
	const startOfScan, app1, exif = 0xda, 0xe1, "Exif\x00\x00"
	for at := 2; at+4 <= len(data) && data[at] == 0xff; {
		kind := data[at+1]
		if kind == 0xff { // it fills
			at++
			continue
		}
		end := at + 2 + int(binary.BigEndian.Uint16(data[at+2:]))
		if kind == startOfScan || end < at+4 || end > len(data) {
			return
		}
		if content, is := bytes.CutPrefix(data[at+4:end], []byte(exif)); is && kind == app1 {
			take(content)
			return
		}
		at = end
	}
}

// orientationIn is the orientation that the first folder of EXIF data has; 1 where it has none.
func orientationIn(exif []byte) int {
	const tag, short, long = 0x0112, 3, 4
	var order binary.ByteOrder = binary.LittleEndian
	if bytes.HasPrefix(exif, []byte("MM\x00*")) {
		order = binary.BigEndian
	} else if !bytes.HasPrefix(exif, []byte("II*\x00")) {
		return 1
	}
	at := func(start, size int64) []byte { // zeros beyond the end
		if start+size > int64(len(exif)) {
			return make([]byte, size)
		}
		return exif[start : start+size]
	}
	folder := int64(order.Uint32(at(4, 4)))
	for i := range int64(order.Uint16(at(folder, 2))) {
		entry := at(folder+2+12*i, 12)
		if order.Uint16(entry) != tag || order.Uint32(entry[4:]) != 1 {
			continue
		}
		value := uint32(0)
		switch order.Uint16(entry[2:]) {
		case short:
			value = uint32(order.Uint16(entry[8:]))
		case long:
			value = order.Uint32(entry[8:])
		}
		if value >= 1 && value <= 8 {
			return int(value)
		}
	}
	return 1
}
