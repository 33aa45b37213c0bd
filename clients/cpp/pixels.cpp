#include "pixels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace aeonnx {
namespace {

struct Limits {
    float low, high, width;
};

Limits limits_of(const Range& range) {
    const auto low = static_cast<float>(range[0]), high = static_cast<float>(range[1]);
    return {low, high, high - low};
}

}  // namespace

bool holds_pixels(const std::optional<Range>& range) {
    const auto is_float = [](double value) {
        return std::abs(value) <= static_cast<double>(std::numeric_limits<float>::max());
    };
    if (!range || !std::all_of(range->begin(), range->end(), is_float)) return false;
    const float width = limits_of(*range).width;
    return width > 0 && std::isfinite(width);
}

void from_pixels(const unsigned char* pixels, std::size_t count, const Range& range,
                 float* values) {
    const Limits limits = limits_of(range);
    const double width = static_cast<double>(limits.width);
    std::transform(pixels, pixels + count, values, [&](unsigned char pixel) {
        // A product of two floats is exact in double: rounded by hand, no compiler fuses it with the
        // sum.
        const double share = static_cast<double>(static_cast<float>(pixel) / 255.0f);
        return limits.low + static_cast<float>(share * width);
    });
}

void to_pixels(const float* values, std::size_t count, const Range& range, unsigned char* pixels) {
    const Limits limits = limits_of(range);
    std::transform(values, values + count, pixels, [&](float value) {
        const float clipped = std::min(std::max(limits.low, value), limits.high);  // NaN: the lowest
        const float share = (clipped - limits.low) / limits.width;
        return static_cast<unsigned char>(std::nearbyint(share * 255.0f));  // ties to even
    });
}

}  // namespace aeonnx
