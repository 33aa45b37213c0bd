// What a verb needs of a part: checked against the manifest, before a file is opened for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

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

// Floats or pixels go in, and perhaps a label, and a score of each row comes out.
// Throws Error 1: it is not so.
void require_scorer(const Variant& variant);

// Throws Error 1: pixels cannot stand for what a scorer takes, and `file` is a picture.
void require_takes_pictures(const Variant& scorer, const std::string& file);

// The input of a kind; null if there is none.
const TensorSpec* of_kind(const Variant& variant, Kind kind);

// The image that a sampler gives.
const TensorSpec& image_of(const Variant& sampler);

// The first output of the kind score; null if there is none.
const TensorSpec* score_of(const Variant& scorer);

// Throws Error 2: the label of a part, such as "sampler", is missing, out of its range, or one too
// many.
void require_label(const std::string& part, const Variant& variant,
                   std::optional<std::int64_t> label);

}  // namespace aeonnx
