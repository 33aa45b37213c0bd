// What a verb needs of a part: checked against the manifest, before a file is opened for it.
#pragma once

#include <cstdint>
#include <optional>

#include "manifest.hpp"

namespace aeonnx {

// One image goes in, and another of the same shape comes out first, with a number of channels.
// `dtype` is float32, for images whose ranges pixels can stand for, or uint8.
// Throws Error 1: it is not so.
void require_denoiser(const Variant& variant, DType dtype);

// A seed, an index and perhaps a label go in, and `image`, uint8 of one size, comes out; of any size
// where a canvas goes in too.
// Throws Error 1: it is not so.
void require_sampler(const Variant& variant);

// The input of a kind; null if there is none.
const TensorSpec* of_kind(const Variant& variant, Kind kind);

// The image that a sampler gives.
const TensorSpec& image_of(const Variant& sampler);

// Throws Error 2: a sampler's label is missing, out of its range, or one too many.
void require_label(const Variant& sampler, std::optional<std::int64_t> label);

}  // namespace aeonnx
