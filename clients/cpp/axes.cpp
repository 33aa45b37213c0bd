#include "axes.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace aeonnx {
namespace {

bool is_name(std::string_view text) {
    const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
    return !text.empty() && is_letter(text[0]) &&
           std::all_of(text.begin(), text.end(),
                       [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_'; });
}

// A number of at most nine digits that does not begin with 0: it fits 32 bits in every language.
std::optional<std::int64_t> read_factor(std::string_view text) {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (text.empty() || text.size() > 9 || text[0] == '0') return std::nullopt;
    if (!std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
    return std::stoll(std::string(text));
}

// The size of the axis where the tensor has `given`; nothing if there is none.
std::optional<std::int64_t> axis_of(const Extent& size, std::int64_t given) {
    if (given % size.factor != 0) return std::nullopt;
    return product(given / size.factor, size.divisor);
}

std::string rule_of(const Axis& axis) {
    const std::string what =
        axis.multiple > 1 ? "a multiple of " + std::to_string(axis.multiple) : "a size";
    if (!axis.max) return what + " of at least " + std::to_string(axis.min);
    return what + " from " + std::to_string(axis.min) + " to " + std::to_string(*axis.max);
}

}  // namespace

std::int64_t product(std::int64_t a, std::int64_t b) {
    return b != 0 && a > uncountable / b ? uncountable : a * b;
}

std::int64_t Extent::at(std::int64_t size) const {
    return axis.empty() ? factor : product(factor, size) / divisor;
}

Extent fixed_size(std::int64_t number) { return {std::to_string(number), "", number, 1}; }

std::optional<Extent> read_size(std::string_view text, bool first) {
    Extent size{std::string(text), std::string(text), 1, 1};
    const std::size_t star = text.find('*'), slash = text.find('/');
    if (star != std::string_view::npos) {
        const auto factor = read_factor(text.substr(0, star));
        if (!factor) return std::nullopt;
        size.factor = *factor;
        size.axis = text.substr(star + 1);
    } else if (slash != std::string_view::npos) {
        const auto divisor = read_factor(text.substr(slash + 1));
        if (!divisor) return std::nullopt;
        size.divisor = *divisor;
        size.axis = text.substr(0, slash);
    }
    const bool good = first ? text == batch : is_name(size.axis) && size.axis != batch;
    return good ? std::optional(std::move(size)) : std::nullopt;
}

bool Axis::allows(std::int64_t size) const {
    return size % multiple == 0 && min <= size && size <= max.value_or(largest_size);
}

std::int64_t nearest(const Axis& axis, std::int64_t size) {
    const std::int64_t half = std::min(size, largest_size) + axis.multiple / 2;
    const std::int64_t whole = std::max(half / axis.multiple * axis.multiple, axis.min);
    return std::min(whole, axis.max.value_or(whole));
}

std::int64_t rounded_up(const Axis& axis, std::int64_t size) {
    const std::int64_t steps = size / axis.multiple + (size % axis.multiple != 0);
    return std::max(axis.min, product(steps, axis.multiple));
}

Shape shape_at(const Layout& layout, const Sizes& sizes) {
    Shape shape;
    for (const Extent& size : layout) {
        shape.push_back(size.axis.empty() ? size.factor : size.at(sizes.at(size.axis)));
    }
    return shape;
}

bool is_like(const Layout& layout, const Shape& shape) {
    return std::equal(layout.begin(), layout.end(), shape.begin(), shape.end(),
                      [](const Extent& size, std::int64_t given) {
                          return given >= 0 && (!size.axis.empty() || size.factor == given);
                      });
}

Sizes solve(const std::vector<Given>& tensors, const Axes& axes) {
    Sizes found;
    std::map<std::string, std::string> who;  // had the axis first
    for (const Given& tensor : tensors) {
        for (std::size_t i = 0; i < tensor.layout.size(); ++i) {
            const Extent& size = tensor.layout[i];
            if (size.axis.empty()) continue;
            const auto there = axis_of(size, tensor.shape[i]);
            if (!there) {
                throw std::runtime_error(tensor.name + ": expected a multiple of " +
                                         std::to_string(size.factor) + " for " + size.text +
                                         ", got " + std::to_string(tensor.shape[i]));
            }
            const std::int64_t before = found.emplace(size.axis, *there).first->second;
            const std::string& first = who.emplace(size.axis, tensor.name).first->second;
            if (before != *there) {
                throw std::runtime_error(size.axis + ": expected one size in all inputs, got " +
                                         std::to_string(before) + " in " + first + " and " +
                                         std::to_string(*there) + " in " + tensor.name);
            }
        }
    }
    for (const auto& [name, size] : found) {
        const Axis& axis = axes.at(name);
        if (axis.allows(size)) continue;
        throw std::runtime_error(who.at(name) + ": " + name + ": expected " + rule_of(axis) +
                                 ", got " + std::to_string(size) + ": the nearest is " +
                                 std::to_string(nearest(axis, size)));
    }
    return found;
}

}  // namespace aeonnx
