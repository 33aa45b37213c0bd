// What a use needs of a part: checked against the manifest, before a file is opened for it.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "manifest.hpp"

namespace aeonnx {

using ImageShape = std::array<std::int64_t, 3>;  // [C, H, W]

// All throw Error 1: it is not so. `verb` is what then cannot be done.

// Each output, and each input that has rows, has "batch" or one number as its first size and
// nowhere else, the same in all of them. One input at least has.
void require_rows(const std::string& part, const std::string& verb, const Variant& variant);

// The golden arrays have the types and sizes of the graph's tensors, and as many rows as another.
void require_golden(const std::string& part, const Variant& variant);

// One image goes in, and another of the same kind comes out first. `dtype` is float32, for images
// whose ranges pixels can stand for, or uint8.
void require_denoiser(const Variant& variant, DType dtype, const ImageShape& image);

// `seed` and `index` go in, and `image`, uint8, comes out.
void require_sampler(const Variant& variant, const ImageShape& image);

}  // namespace aeonnx
