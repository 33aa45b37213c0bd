#include "picture.hpp"

#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "decode.hpp"
#include "files.hpp"
#include "needs.hpp"
#include "text.hpp"

namespace aeonnx {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t largest_file = 1 << 30;
constexpr std::uint64_t most_pixels = 178956970;       // of a picture to read
constexpr std::uint64_t most_values = (1U << 31) - 1;  // of a picture to write

Size turned(Size size, int orientation) {
    return orientation < 5 ? size : Size{size.height, size.width};
}

// Where the pixel that belongs at (x, y) is stored, as EXIF counts the eight orientations.
std::size_t source_of(const Pixels& picture, std::size_t x, std::size_t y) {
    const std::size_t right = picture.size.width - 1, bottom = picture.size.height - 1;
    if (picture.orientation >= 5) std::swap(x, y);
    const bool from_right = picture.orientation == 2 || picture.orientation == 3 ||
                            picture.orientation == 7 || picture.orientation == 8;
    const bool from_bottom = picture.orientation == 3 || picture.orientation == 4 ||
                             picture.orientation == 6 || picture.orientation == 7;
    return (from_bottom ? bottom - y : y) * picture.size.width + (from_right ? right - x : x);
}

// The channels of one pixel, from red, green, blue and alpha.
std::array<unsigned char, 4> channels_of(const unsigned char* rgba, std::int64_t channels) {
    if (channels > 2) return {rgba[0], rgba[1], rgba[2], rgba[3]};
    const int grey = (19595 * rgba[0] + 38470 * rgba[1] + 7471 * rgba[2] + 32768) >> 16;
    return {static_cast<unsigned char>(grey), rgba[3], 0, 0};
}

Pixels decode(std::string_view data, const Accept& accept) {
    if (data.empty()) throw Unreadable("it is empty");
    if (data.substr(0, 8) == "\x89PNG\r\n\x1a\n") return decode_png(data, accept);
    if (data.substr(0, 3) == "\xff\xd8\xff") return decode_jpeg(data, accept);
    if (data.substr(0, 2) == "BM") return decode_bmp(data, accept);
    throw Unreadable("it begins as none of them does");
}

std::string in_words(std::uint64_t width, std::uint64_t height) {
    return std::to_string(width) + "x" + std::to_string(height);
}

// Columns, rows and gaps of a grid; the gaps are between images and around them.
struct Grid {
    std::uint64_t columns, rows, gap, width, height;
};

Grid grid_of(const Shape& shape) {
    constexpr std::int64_t most = 1U << 31;
    const std::int64_t count = shape[0];
    if (shape[1] < 1 || shape[1] > 4) {
        throw Error(1, "expected images of 1 to 4 channels, got " + std::to_string(shape[1]));
    }
    if (count < 1 || count > most || shape[2] > most || shape[3] > most) {
        throw Error(1, "expected fewer or smaller images: the picture would be too large");
    }
    Grid grid{};
    const auto images = static_cast<std::uint64_t>(count);
    grid.columns = static_cast<std::uint64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
    grid.rows = (images + grid.columns - 1) / grid.columns;
    grid.gap = images == 1 ? 0 : 2;
    grid.width = grid.columns * (static_cast<std::uint64_t>(shape[3]) + grid.gap) + grid.gap;
    grid.height = grid.rows * (static_cast<std::uint64_t>(shape[2]) + grid.gap) + grid.gap;
    const std::uint64_t channels = static_cast<std::uint64_t>(shape[1]);
    if (grid.width > most_values / channels / grid.height) {
        throw Error(1, "expected fewer or smaller images: a picture of " +
                           in_words(grid.width, grid.height) + " pixels is too large");
    }
    return grid;
}

void require_size(const Frame& frame, std::uint64_t width, std::uint64_t height) {
    const auto differs = [](const std::optional<std::int64_t>& wanted, std::uint64_t got) {
        return wanted && static_cast<std::uint64_t>(*wanted) != got;
    };
    if (!differs(frame.width, width) && !differs(frame.height, height)) return;
    const auto side = [](const std::optional<std::int64_t>& wanted, const char* any) {
        return wanted ? std::to_string(*wanted) : std::string(any);
    };
    throw Unfit(": expected " + side(frame.width, "any width ") + "x" +
                side(frame.height, " any height") + " pixels, got " + in_words(width, height) +
                ": resize it first");
}

void require_pictures(const std::string& part, const std::string& verb, const Shape& images) {
    try {
        grid_of(images);
    } catch (const Error& error) {
        throw Error(1, "this bundle's " + part + " cannot " + verb + ": " + error.what());
    }
}

}  // namespace

Frame frame_of(const std::string& part, const std::string& verb, const Variant& variant) {
    const Layout& shape = variant.inputs.front().shape;
    const auto side = [](const Extent& size) {
        return size.axis.empty() ? std::optional(size.factor) : std::nullopt;
    };
    const Frame frame{shape[1].factor, side(shape[2]), side(shape[3])};
    require_pictures(part, verb,
                     {1, frame.channels, frame.height.value_or(1), frame.width.value_or(1)});
    return frame;
}

void require_grid(const Variant& sampler, const Sizes& sizes, std::int64_t count) {
    Shape images = shape_at(image_of(sampler).shape, sizes);
    images[0] = count;
    require_pictures("sampler", "generate", images);
}

Tensor read_picture(const fs::path& path, const Frame& frame) {
    const std::int64_t channels = frame.channels;
    const auto content = read_file(path, at_most(path, largest_file));
    if (!content) throw Error(1, path.string() + " does not exist");
    const auto accept = [&](Size stored, int orientation) {
        const Size size = turned(stored, orientation);
        require_size(frame, size.width, size.height);
        if (std::uint64_t{size.width} * size.height > most_pixels) {
            throw Unfit(": expected at most " + std::to_string(most_pixels) + " pixels, got " +
                        in_words(size.width, size.height));
        }
    };
    const std::string_view data(reinterpret_cast<const char*>(content->data()), content->size());
    try {
        const Pixels picture = decode(data, accept);
        const Size size = turned(picture.size, picture.orientation);
        const std::size_t width = size.width, area = width * size.height;
        Tensor image(DType::uint8, {channels, size.height, size.width});
        unsigned char* const pixels = image.values<unsigned char>();
        for (std::size_t i = 0; i < area; ++i) {
            const unsigned char* rgba =
                picture.rgba.data() + 4 * source_of(picture, i % width, i / width);
            if (channels % 2 == 1 && rgba[3] != 255) {
                throw Unfit(" has transparent pixels, and the model takes none: flatten it first");
            }
            const auto values = channels_of(rgba, channels);
            for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
                pixels[c * area + i] = values[c];
            }
        }
        return image;
    } catch (const Unreadable& damage) {
        throw Error(1,
                    path.string() + " is not a readable PNG, JPEG or BMP image: " + damage.what());
    } catch (const Unfit& unfit) {
        throw Error(1, path.string() + unfit.what());
    }
}

std::string grid_png(const Tensor& images) {
    if (images.dtype != DType::uint8 || images.shape.size() != 4 ||
        images.bytes.size() != count_of(images.shape)) {
        throw Error(1, "expected images uint8 [count, C, H, W], got " +
                           describe(images.dtype, images.shape));
    }
    const Grid grid = grid_of(images.shape);
    const auto channels = static_cast<std::size_t>(images.shape[1]);
    const auto height = static_cast<std::size_t>(images.shape[2]);
    const auto width = static_cast<std::size_t>(images.shape[3]);
    const std::size_t one = channels * height * width;
    const unsigned char* const pixels = images.values<unsigned char>();
    std::vector<unsigned char> picture(grid.width * grid.height * channels, 128);
    for (std::size_t i = 0; i < images.bytes.size(); ++i) {
        const std::size_t x = i % width, y = i / width % height;
        const std::size_t channel = i / (width * height) % channels;
        const std::size_t image = i / one;
        const std::size_t left = grid.gap + image % grid.columns * (width + grid.gap) + x;
        const std::size_t top = grid.gap + image / grid.columns * (height + grid.gap) + y;
        picture[(top * grid.width + left) * channels + channel] = pixels[i];
    }
    const Size size{static_cast<std::uint32_t>(grid.width),
                    static_cast<std::uint32_t>(grid.height)};
    return encode_png(size, static_cast<int>(channels), picture);
}

std::string picture_png(Tensor picture) {
    picture.shape.insert(picture.shape.begin(), 1);
    return grid_png(picture);
}

}  // namespace aeonnx
