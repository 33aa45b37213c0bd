// uint8 pixels <-> the floats that they stand for: 0 to 255 is mapped to a range, the lowest and the
// highest value. Each operation is rounded to float32, as in the graphs that take pixels.
#pragma once

#include <cstddef>
#include <optional>

#include "manifest.hpp"

namespace aeonnx {

// Whether the range has a width that is a finite float32 above 0: it must for the two below.
bool holds_pixels(const std::optional<Range>& range);

// low + (pixel / 255) * (high - low), of `count` pixels; for [0, 1] pixel / 255.
void from_pixels(const unsigned char* pixels, std::size_t count, const Range& range, float* values);

// (clip(value, low, high) - low) / (high - low) * 255, to the nearest, ties to even; for [0, 1]
// clip(value, 0, 1) * 255. NaN becomes 0.
void to_pixels(const float* values, std::size_t count, const Range& range, unsigned char* pixels);

}  // namespace aeonnx
