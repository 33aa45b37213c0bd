// One decoder per format: bytes -> red, green, blue and alpha, 8 bits each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace aeonnx {

struct Size {
    std::uint32_t width, height;
};

struct Pixels {
    Size size;
    int orientation;                  // of EXIF, 1 to 8
    std::vector<unsigned char> rgba;  // [height, width, 4]
};

// Gets the size and the orientation before pixels take memory; throws where they are wrong.
using Accept = std::function<void(Size, int orientation)>;

// The bytes are damaged, or no picture of the format; with the reason.
struct Unreadable : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A sound picture that is not taken; what follows its name in the message.
struct Unfit : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// All throw Unreadable and Unfit, and what `accept` throws.
Pixels decode_png(std::string_view data, const Accept& accept);
Pixels decode_jpeg(std::string_view data, const Accept& accept);
Pixels decode_bmp(std::string_view data, const Accept& accept);

// uint8 [height, width, channels] -> a PNG; 1 is grey, 2 grey and alpha, 3 RGB, 4 RGBA.
std::string encode_png(Size size, int channels, const std::vector<unsigned char>& values);

// The orientation in EXIF data, which are a TIFF file; 1 where they have none.
int exif_orientation(std::string_view tiff);

// Two or four bytes as a number. Throws Unreadable: it is beyond the end.
std::uint32_t little16(std::string_view data, std::size_t at);
std::uint32_t little32(std::string_view data, std::size_t at);
std::uint32_t big16(std::string_view data, std::size_t at);
std::uint32_t big32(std::string_view data, std::size_t at);

}  // namespace aeonnx
