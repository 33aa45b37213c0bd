// What a sampler takes for images of a size.
#pragma once

#include <cstdint>
#include <optional>

#include "manifest.hpp"
#include "tensor.hpp"

namespace aeonnx {

// The sizes of all axes, that of rows included, for images of a size: the sizes of the image's axes
// in order, such as {height, width}; those of the first golden vectors where there is none.
// Throws Error 2: the images cannot have this size.
Sizes image_sizes(const Variant& sampler, const std::optional<Shape>& size);

// Images to ask for in one run: fewer where they are large.
std::int64_t images_at_once(const Variant& sampler, const Sizes& sizes);

// The inputs for images `first` and following of a seed, as many as `sizes` has rows.
Tensors sampler_inputs(const Variant& sampler, const Sizes& sizes, std::int64_t seed,
                       std::int64_t first, std::optional<std::int64_t> label);

}  // namespace aeonnx
