// Pictures <-> pixels.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "tensor.hpp"

namespace aeonnx {

// What a model takes.
struct Frame {
    std::int64_t channels;
    std::optional<std::int64_t> height, width;  // nothing: any
};

// A PNG, JPEG or BMP as uint8 [C, H, W], C of 1 to 4: what it is, is told by its content. It is
// turned as its EXIF orientation says, and its colours are made C channels.
// Throws Error 1: it is missing, damaged, of another size, transparent where C has no alpha, in
// CMYK, or holds several pictures.
Tensor read_picture(const std::filesystem::path& path, const Frame& frame);

// Images, uint8 [count, C, H, W], as one PNG: rows of ceil(sqrt(count)) on a grey ground.
// Throws Error 1: it would be too large, or C is not 1 to 4.
std::string grid_png(const Tensor& images);

// One picture, uint8 [C, H, W], as a PNG. Throws as `grid_png`.
std::string picture_png(Tensor picture);

// The pictures that the first input of a part takes: checked by `Bundle::require`.
// Throws Error 1: no picture has so many channels or places, so that the part cannot do it: `verb`.
Frame frame_of(const std::string& part, const std::string& verb, const Variant& variant);

// Throws Error 1: no picture has as many channels as a sampler's images, or a grid of `count` of
// them, of the size that the axes have, would be too large.
void require_grid(const Variant& sampler, const Sizes& sizes, std::int64_t count);

}  // namespace aeonnx
