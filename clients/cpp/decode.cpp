#include "decode.hpp"

namespace aeonnx {
namespace {

std::uint32_t byte_at(std::string_view data, std::size_t at) {
    if (at >= data.size()) throw Unreadable("it is cut");
    return static_cast<unsigned char>(data[at]);
}

}  // namespace

std::uint32_t little16(std::string_view data, std::size_t at) {
    return byte_at(data, at) | byte_at(data, at + 1) << 8;
}

std::uint32_t little32(std::string_view data, std::size_t at) {
    return little16(data, at) | little16(data, at + 2) << 16;
}

std::uint32_t big16(std::string_view data, std::size_t at) {
    return byte_at(data, at) << 8 | byte_at(data, at + 1);
}

std::uint32_t big32(std::string_view data, std::size_t at) {
    return big16(data, at) << 16 | big16(data, at + 2);
}

int exif_orientation(std::string_view tiff) {
    constexpr std::uint32_t orientation = 0x0112, one_short = 3;
    const bool little = tiff.substr(0, 2) == "II";
    if (!little && tiff.substr(0, 2) != "MM") return 1;
    const auto two = little ? little16 : big16;
    const auto four = little ? little32 : big32;
    try {
        const std::size_t first = four(tiff, 4);
        const std::uint32_t entries = two(tiff, first);
        for (std::size_t at = first + 2; at < first + 2 + 12 * std::size_t{entries}; at += 12) {
            if (two(tiff, at) != orientation || two(tiff, at + 2) != one_short) continue;
            const std::uint32_t value = two(tiff, at + 8);
            return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
        }
    } catch (const Unreadable&) {
        return 1;  // the pixels may be sound all the same
    }
    return 1;
}

}  // namespace aeonnx
