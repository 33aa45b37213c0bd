// Pictures <-> pixels.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace aeonnx {

// A PNG, JPEG or BMP as uint8 [C, H, W], C of 1 to 4: what it is, is told by its content. It is
// turned as its EXIF orientation says, and its colours are made C channels.
// Throws Error 1: it is missing, damaged, of another size, transparent where C has no alpha, in
// CMYK, or holds several pictures.
std::vector<unsigned char> read_picture(const std::filesystem::path& path,
                                        const std::array<std::int64_t, 3>& shape);

// Images, uint8 [count, C, H, W], as one PNG: rows of ceil(sqrt(count)) on a grey ground.
// Throws Error 1: it would be too large, or C is not 1 to 4.
std::string grid_png(const std::vector<unsigned char>& images,
                     const std::array<std::int64_t, 3>& shape);

// Throws Error 1: `part` cannot `verb` pictures, since no picture has so many channels, or a grid
// of `count` images would be too large.
void require_pictures(const std::string& part, const std::string& verb,
                      const std::array<std::int64_t, 3>& shape, std::int64_t count);

}  // namespace aeonnx
