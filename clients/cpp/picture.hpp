// PNG files <-> pixels.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace aeonnx {

// A picture as uint8 [C, H, W]; its colours are made C channels.
// Throws Error 1: it is missing, not an 8-bit PNG, or of another size.
std::vector<unsigned char> read_picture(const std::filesystem::path& path,
                                        const std::array<std::int64_t, 3>& shape);

// Write images, uint8 [count, C, H, W], as one PNG: rows of ceil(sqrt(count)) on a grey ground.
// The file is written whole or not at all. Throws Error 1: it cannot be.
void write_grid(const std::filesystem::path& path, const std::vector<unsigned char>& images,
                const std::array<std::int64_t, 3>& shape);

}  // namespace aeonnx
