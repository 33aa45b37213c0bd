#include "picture.hpp"

#include <cmath>
#include <fstream>
#include <memory>
#include <sstream>

#include "manifest.hpp"

#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#include <stb/stb_image.h>
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#include <stb/stb_image_write.h>

namespace aeonnx {
namespace {

namespace fs = std::filesystem;

std::string content_of(const fs::path& path) {
    if (!fs::exists(path)) throw Error(1, path.string() + " does not exist");
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// The channels of one pixel, from red, green, blue and alpha.
std::array<unsigned char, 4> channels_of(const unsigned char* rgba, std::int64_t channels) {
    if (channels > 2) return {rgba[0], rgba[1], rgba[2], rgba[3]};
    const int grey = (19595 * rgba[0] + 38470 * rgba[1] + 7471 * rgba[2] + 32768) >> 16;
    return {static_cast<unsigned char>(grey), rgba[3], 0, 0};
}

void write_whole(const fs::path& path, const std::string& data) {
    const fs::path beside = path.string() + ".part";
    std::ofstream file(beside, std::ios::binary);
    file.write(data.data(), static_cast<std::streamsize>(data.size()));
    file.close();
    std::error_code failed;
    if (file) fs::rename(beside, path, failed);
    if (file && !failed) return;
    std::error_code ignored;
    fs::remove(beside, ignored);
    throw Error(1, "cannot write " + path.string() + ": " +
                       (failed ? failed.message() : "no such folder, or no place in it"));
}

}  // namespace

std::vector<unsigned char> read_picture(const fs::path& path,
                                        const std::array<std::int64_t, 3>& shape) {
    const auto [channels, height, width] = shape;
    const std::string data = content_of(path);
    const auto* bytes = reinterpret_cast<const unsigned char*>(data.data());
    const int length = static_cast<int>(data.size());
    const auto refuse = [&path](const std::string& reason) {
        return Error(1, path.string() + " is not a readable PNG image: " + reason);
    };
    int wide = 0, high = 0, stored = 0;
    if (data.size() > 1U << 30) throw refuse("it is larger than 1 GiB");
    if (!stbi_info_from_memory(bytes, length, &wide, &high, &stored)) {
        throw refuse(stbi_failure_reason());
    }
    if (wide != width || high != height) {  // before its pixels take memory
        throw Error(1, path.string() + ": expected " + std::to_string(width) + "x" +
                           std::to_string(height) + " pixels, got " + std::to_string(wide) + "x" +
                           std::to_string(high) + ": resize it first");
    }
    if (stbi_is_16_bit_from_memory(bytes, length)) throw refuse("it has 16 bits, expected 8");
    const std::unique_ptr<unsigned char, void (*)(void*)> rgba(
        stbi_load_from_memory(bytes, length, &wide, &high, &stored, 4), stbi_image_free);
    if (!rgba) throw refuse(stbi_failure_reason());
    const std::size_t area = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
    std::vector<unsigned char> pixels(area * static_cast<std::size_t>(channels));
    for (std::size_t i = 0; i < area; ++i) {
        const auto values = channels_of(rgba.get() + 4 * i, channels);
        for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
            pixels[c * area + i] = values[c];
        }
    }
    return pixels;
}

void write_grid(const fs::path& path, const std::vector<unsigned char>& images,
                const std::array<std::int64_t, 3>& shape) {
    const auto channels = static_cast<std::size_t>(shape[0]);
    const auto height = static_cast<std::size_t>(shape[1]);
    const auto width = static_cast<std::size_t>(shape[2]);
    const std::size_t count = images.size() / (channels * height * width);
    const auto columns = static_cast<std::size_t>(std::ceil(std::sqrt(count)));
    const std::size_t rows = (count + columns - 1) / columns;
    const std::size_t gap = count == 1 ? 0 : 2;  // pixels between images and around them
    const std::size_t wide = columns * (width + gap) + gap, high = rows * (height + gap) + gap;
    std::vector<unsigned char> picture(wide * high * channels, 128);
    for (std::size_t i = 0; i < images.size(); ++i) {
        const std::size_t x = i % width, y = i / width % height;
        const std::size_t channel = i / (width * height) % channels;
        const std::size_t image = i / (width * height * channels);
        const std::size_t left = gap + image % columns * (width + gap) + x;
        const std::size_t top = gap + image / columns * (height + gap) + y;
        picture[(top * wide + left) * channels + channel] = images[i];
    }
    std::string png;
    const auto append = [](void* text, void* data, int size) {
        static_cast<std::string*>(text)->append(static_cast<char*>(data),
                                                static_cast<std::size_t>(size));
    };
    const auto as_int = [](std::size_t value) { return static_cast<int>(value); };
    if (!stbi_write_png_to_func(append, &png, as_int(wide), as_int(high), as_int(channels),
                                picture.data(), as_int(wide * channels))) {
        throw Error(1, "cannot write " + path.string() + ": the picture is too large");
    }
    write_whole(path, png);
}

}  // namespace aeonnx
