#include "blocks.hpp"

#include <algorithm>
#include <cstring>

namespace aeonnx {
namespace {

std::int64_t reflected(std::int64_t place, std::int64_t size) {
    if (size == 1) return 0;
    const std::int64_t period = 2 * (size - 1), within = place % period;
    return within < size ? within : period - within;
}

// Calls `visit` with the places on all axes but the last, of a block of these sizes.
template <typename Visit>
void each_line(const Shape& counts, const Visit& visit) {
    if (std::find(counts.begin(), counts.end(), 0) != counts.end()) return;
    Shape at(counts.size(), 0);
    while (true) {
        visit(at);
        std::size_t axis = counts.size() - 1;
        do {
            if (axis == 0) return;
            --axis;
            at[axis] = at[axis] + 1 == counts[axis] ? 0 : at[axis] + 1;
        } while (at[axis] == 0);
    }
}

// The offset in bytes of a place, whose last index is 0.
template <typename Place>
std::size_t offset_of(const Tensor& tensor, const Place& place) {
    std::int64_t offset = 0;
    for (std::size_t axis = 0; axis < tensor.shape.size(); ++axis) {
        offset = offset * tensor.shape[axis] + (axis + 1 < tensor.shape.size() ? place(axis) : 0);
    }
    return static_cast<std::size_t>(offset) * width_of(tensor.dtype);
}

// A line of `span` from one of `size` places.
void copy_line(const std::byte* line, std::int64_t size, Span span, std::size_t width,
               std::byte* to) {
    const std::int64_t inside = std::clamp<std::int64_t>(size - span.first, 0, span.count);
    const auto as_bytes = [width](std::int64_t places) {
        return static_cast<std::size_t>(places) * width;
    };
    if (inside) std::memcpy(to, line + as_bytes(span.first), as_bytes(inside));
    for (std::int64_t i = inside; i < span.count; ++i) {
        std::memcpy(to + as_bytes(i), line + as_bytes(reflected(span.first + i, size)), width);
    }
}

}  // namespace

Tensor cut(const Tensor& whole, const Spans& spans) {
    Shape counts;
    for (const Span& span : spans) counts.push_back(span.count);
    Tensor block(whole.dtype, counts);
    const std::size_t width = width_of(whole.dtype);
    std::byte* to = block.bytes.data();
    each_line(counts, [&](const Shape& at) {
        const std::size_t line = offset_of(whole, [&](std::size_t axis) {
            return reflected(spans[axis].first + at[axis], whole.shape[axis]);
        });
        copy_line(whole.bytes.data() + line, whole.shape.back(), spans.back(), width, to);
        to += static_cast<std::size_t>(counts.back()) * width;
    });
    return block;
}

void paste(const Tensor& block, const Shape& from, Tensor& whole, const Spans& to) {
    Shape counts;
    for (std::size_t axis = 0; axis < to.size(); ++axis) {
        counts.push_back(
            std::clamp<std::int64_t>(whole.shape[axis] - to[axis].first, 0, to[axis].count));
    }
    const std::size_t width = width_of(whole.dtype);
    const std::size_t size = static_cast<std::size_t>(counts.back()) * width;
    const std::size_t source_start = static_cast<std::size_t>(from.back()) * width;
    const std::size_t target_start = static_cast<std::size_t>(to.back().first) * width;
    each_line(counts, [&](const Shape& at) {
        const std::size_t source =
            offset_of(block, [&](std::size_t axis) { return from[axis] + at[axis]; });
        const std::size_t target =
            offset_of(whole, [&](std::size_t axis) { return to[axis].first + at[axis]; });
        std::memcpy(whole.bytes.data() + target + target_start,
                    block.bytes.data() + source + source_start, size);
    });
}

}  // namespace aeonnx
