// Sizes of tensors that follow named axes: "batch", "height", "height/8", "320*frames".
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aeonnx {

using Shape = std::vector<std::int64_t>;            // of an array
using Sizes = std::map<std::string, std::int64_t>;  // of axes, by name

constexpr const char* batch = "batch";                              // the axis of rows
constexpr std::int64_t largest_size = (std::int64_t{1} << 53) - 1;  // whole in every language
constexpr std::int64_t uncountable = std::numeric_limits<std::int64_t>::max();

// A product of numbers from 0 on; `uncountable` where it has more than 63 bits.
std::int64_t product(std::int64_t a, std::int64_t b);

// A size in a tensor's shape: a number, or factor * axis / divisor; one of the two is 1 then.
struct Extent {
    std::string text;  // as a manifest and a graph write it
    std::string axis;  // empty: the size is the number `factor`
    std::int64_t factor = 1, divisor = 1;

    // The size of the tensor where the axis has `size`, a multiple of `divisor`.
    std::int64_t at(std::int64_t size) const;
    bool operator==(const Extent& other) const { return text == other.text; }
};

using Layout = std::vector<Extent>;  // the shape of a tensor, for any sizes of its axes

Extent fixed_size(std::int64_t number);

// The size that a text means; nothing if it means none. "batch" stands first and nowhere else, and
// no other axis stands first.
std::optional<Extent> read_size(std::string_view text, bool first);

// Which sizes an axis may have.
struct Axis {
    std::int64_t multiple = 1, min = 1;
    std::optional<std::int64_t> max = {};     // nothing: without a limit
    std::optional<std::int64_t> margin = {};  // places to either side that an output depends on;
                                              // nothing: on all
    bool allows(std::int64_t size) const;
};

using Axes = std::map<std::string, Axis>;

// The size nearest to `size` that an axis may have; of two, the larger.
std::int64_t nearest(const Axis& axis, std::int64_t size);

// The smallest size from `size` on that the rules allow, but for the largest: that may be exceeded.
std::int64_t rounded_up(const Axis& axis, std::int64_t size);

// A shape where its axes have these sizes; `uncountable` stands for sizes of more than 63 bits.
Shape shape_at(const Layout& layout, const Sizes& sizes);

// Whether an array may have this shape: as many sizes, and the same numbers.
bool is_like(const Layout& layout, const Shape& shape);

struct Given {
    std::string name;
    Layout layout;
    Shape shape;  // is_like(layout, shape)
};

// The sizes of all axes, from tensors that have them.
// Throws std::runtime_error: which rule they break, such as "x: height: expected a multiple of ..."
Sizes solve(const std::vector<Given>& tensors, const Axes& axes);

}  // namespace aeonnx
