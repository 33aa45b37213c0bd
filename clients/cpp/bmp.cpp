// BMP, of plain rows: small enough to read here, with every offset checked.
#include <algorithm>
#include <array>

#include "decode.hpp"

namespace aeonnx {
namespace {

constexpr std::size_t file_header = 14;
constexpr std::uint32_t plain = 0, with_masks = 3;
const char* const odd_depth = "expected 8 or 16 bits per channel";

struct Layout {
    Size size{};
    bool upwards = true;  // the last row is first
    std::uint32_t bits = 0;
    std::size_t rows = 0;                                // where they begin
    std::array<std::size_t, 4> channels = {2, 1, 0, 4};  // bytes of a pixel; 4: there is none
    std::vector<std::array<unsigned char, 3>> palette = {};
};

// The byte of a pixel that a mask takes.
std::size_t byte_of(std::uint32_t mask) {
    for (std::size_t i = 0; i < 4; ++i) {
        if (mask == 0xFFU << (8 * i)) return i;
    }
    throw Unreadable(odd_depth);
}

void read_masks(Layout& layout, std::string_view data, std::size_t header) {
    const std::size_t masks = file_header + 40;  // in a longer header, or behind a short one
    for (std::size_t c = 0; c < 3; ++c) {
        layout.channels[c] = byte_of(little32(data, masks + 4 * c));
    }
    const std::uint32_t alpha = header >= 56 ? little32(data, masks + 12) : 0;
    if (alpha) layout.channels[3] = byte_of(alpha);
}

void read_palette(Layout& layout, std::string_view data, std::size_t at, std::size_t entry,
                  std::uint32_t colours) {
    const std::size_t most = std::size_t{1} << layout.bits;
    const std::size_t place = (std::max(layout.rows, at) - at) / entry;
    const std::size_t count = std::min({colours ? colours : most, most, place});
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t colour =
            little16(data, at + entry * i) | (little16(data, at + entry * i + 1) >> 8) << 16;
        layout.palette.push_back({static_cast<unsigned char>(colour >> 16),
                                  static_cast<unsigned char>(colour >> 8),
                                  static_cast<unsigned char>(colour)});
    }
    layout.palette.resize(most);  // black, as in PNG
}

Layout layout_of(std::string_view data) {
    Layout layout;
    const std::uint32_t header = little32(data, file_header);
    const bool old = header == 12;
    if (!old && header < 40) throw Unreadable("its header is of no known kind");
    const std::uint32_t width = old ? little16(data, 18) : little32(data, 18);
    const std::uint32_t height = old ? little16(data, 20) : little32(data, 22);
    layout.upwards = old || height < 1U << 31;
    layout.size = {width, layout.upwards ? height : 0 - height};
    layout.bits = little16(data, old ? 24 : 28);
    layout.rows = little32(data, 10);
    const std::uint32_t packing = old ? plain : little32(data, 30);
    if (!layout.size.width || !layout.size.height || layout.size.width >= 1U << 31) {
        throw Unreadable("it has no pixels");
    }
    if (packing != plain && packing != with_masks) throw Unreadable("its rows are compressed");
    const bool indexed = layout.bits == 1 || layout.bits == 4 || layout.bits == 8;
    if ((!indexed && layout.bits != 24 && layout.bits != 32) ||
        (packing == with_masks && layout.bits != 32)) {
        throw Unreadable(odd_depth);
    }
    if (packing == with_masks) read_masks(layout, data, header);
    if (indexed) {
        read_palette(layout, data, file_header + header, old ? 3 : 4, old ? 0 : little32(data, 46));
    }
    return layout;
}

std::array<unsigned char, 4> pixel_at(const Layout& layout, std::string_view row, std::size_t x) {
    if (layout.bits > 8) {
        const std::string_view pixel = row.substr(x * layout.bits / 8, layout.bits / 8);
        std::array<unsigned char, 4> rgba = {0, 0, 0, 255};
        for (std::size_t c = 0; c < 4; ++c) {
            const std::size_t at = layout.channels[c];
            if (at < pixel.size()) rgba[c] = static_cast<unsigned char>(pixel[at]);
        }
        return rgba;
    }
    const std::size_t bit = x * layout.bits;
    const auto byte = static_cast<unsigned char>(row[bit / 8]);
    const std::size_t index = byte >> (8 - layout.bits - bit % 8) & ((1U << layout.bits) - 1);
    const auto [red, green, blue] = layout.palette[index];
    return {red, green, blue, 255};
}

}  // namespace

Pixels decode_bmp(std::string_view data, const Accept& accept) {
    const Layout layout = layout_of(data);
    accept(layout.size, 1);
    const std::size_t width = layout.size.width, height = layout.size.height;
    const std::size_t row = (width * layout.bits + 31) / 32 * 4;
    if (layout.rows < file_header || layout.rows > data.size() ||
        (data.size() - layout.rows) / row < height) {
        throw Unreadable("it is cut");
    }
    Pixels pixels{layout.size, 1, std::vector<unsigned char>(width * height * 4)};
    for (std::size_t y = 0; y < height; ++y) {
        const std::size_t from = layout.upwards ? height - 1 - y : y;
        const std::string_view values = data.substr(layout.rows + from * row, row);
        for (std::size_t x = 0; x < width; ++x) {
            const auto rgba = pixel_at(layout, values, x);
            std::copy(rgba.begin(), rgba.end(), pixels.rgba.begin() + 4 * (y * width + x));
        }
    }
    return pixels;
}

}  // namespace aeonnx
