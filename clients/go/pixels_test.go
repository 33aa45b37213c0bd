package aeonnx

import (
	"math"
	"slices"
	"testing"
)

var allPixels = func() Tensor {
	pixels := make([]uint8, 256)
	for i := range pixels {
		pixels[i] = uint8(i)
	}
	return NewTensor(pixels, 1, 1, 16, 16)
}()

func TestPixelsOfARangeComeBack(t *testing.T) {
	for _, span := range [][]float64{{0, 1}, {-1, 1}, {-0.1, 0.3}, {0, 255}, {-3, 0.2}, {0.001, 0.0011}} {
		values, err := fromPixels(allPixels, span)
		if err != nil {
			t.Fatal(err)
		}
		back, err := toPixels("denoiser", values, span)
		if err != nil || !slices.Equal(back.Data, allPixels.Data) {
			t.Errorf("%v: %v, got %v", span, err, back.Data)
		}
	}
}

func TestFrom0To1NothingIsAddedToTheArithmetic(t *testing.T) {
	got, err := fromPixels(allPixels, []float64{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	values, _ := Values[float32](got)
	for pixel, value := range values {
		if value != float32(pixel)/255 {
			t.Errorf("%d: got %v", pixel, value)
		}
	}
	for half := range 510 { // where float32 decides which of two pixels it is
		middle := (float32(half) + 0.5) / 510
		values = append(values, middle, math.Nextafter32(middle, 0), math.Nextafter32(middle, 1))
	}
	pixels, err := toPixels("denoiser", NewTensor(values, int64(len(values))), []float64{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	for i, value := range values {
		if expected := uint8(math.RoundToEven(float64(value * 255))); pixels.Data[i] != expected {
			t.Errorf("%v: expected %d, got %d", value, expected, pixels.Data[i])
		}
	}
}

func TestWhatIsOutsideOfARangeIsClipped(t *testing.T) {
	inf := float32(math.Inf(1))
	got, err := toPixels("denoiser", NewTensor([]float32{-9, -inf, 9, inf, -1, 3}, 6), []float64{-1, 3})
	if err != nil || !slices.Equal(got.Data, []byte{0, 0, 255, 255, 0, 255}) {
		t.Error(got.Data, err)
	}
}

func TestNaNIsNoPixel(t *testing.T) {
	_, err := toPixels("denoiser", NewTensor([]float32{0, float32(math.NaN())}, 2), []float64{-1, 3})
	if err == nil || err.Error() != "denoiser gave NaN, which is no pixel" {
		t.Error(err)
	}
}

// What numpy gives in float32; float64 would give the pixel beside it, or another value.
func TestEachOperationIsRoundedToFloat32(t *testing.T) {
	for _, one := range []struct {
		low, high float64
		value     float32
		pixel     uint8
	}{
		{-1, 1, -0.48627451062202454, 66},
		{-0.1, 0.3, -0.07568627595901489, 16},
		{0.001, 0.0011, 0.001002156874164939, 5},
	} {
		got, err := toPixels("denoiser", NewTensor([]float32{one.value}, 1), []float64{one.low, one.high})
		if err != nil || got.Data[0] != one.pixel {
			t.Errorf("%v: %v, got %v", one, err, got.Data)
		}
	}
	for _, one := range []struct {
		low, high float64
		pixel     uint8
		value     float32
	}{
		{-1, 1, 65, -0.4901960492134094},
		{-0.1, 0.3, 20, -0.06862744688987732},
		{0.001, 0.0011, 3, 0.0010011765407398343},
	} {
		got, err := fromPixels(NewTensor([]uint8{one.pixel}, 1), []float64{one.low, one.high})
		if values, _ := Values[float32](got); err != nil || values[0] != one.value {
			t.Errorf("%v: %v, got %v", one, err, values)
		}
	}
}

func TestPixelsStandForNothingWithoutAWidth(t *testing.T) {
	for _, span := range [][]float64{nil, {1, 1}, {1, 0}, {0, 1e300}, {-3e38, 3e38}, {0, 1e-300}, {1e300, 2e300}} {
		if holdsPixels(span) {
			t.Error(span)
		}
	}
	shape := Shape{anyRows, number(1), number(28), number(28)}
	image := Spec{Name: "x", DType: "float32", Kind: "image", Shape: shape, Range: []float64{-0.5, -0.5}}
	expected := "this bundle's denoiser cannot denoise: expected x float32 [batch, 1, 28, 28] in a range " +
		"[low, high] whose width is a float32 above 0, got one in [-0.5, -0.5]: " +
		"export it with such a range, or take its floats with the library's run"
	if err := (need{"denoiser", "denoise"}).pixels(image); err == nil || err.Error() != expected {
		t.Error(err)
	}
	image.Range = []float64{-0.5, 0.5}
	if err := (need{"denoiser", "denoise"}).pixels(image); err != nil {
		t.Error(err)
	}
}
