#include "tiles.hpp"

#include <algorithm>

namespace aeonnx {
namespace {

// Where there is more than one tile, its length in the tensor in which it is longest: by the number of
// axes that are cut.
std::int64_t side_of(const Variant& variant, std::size_t axes) {
    std::int64_t largest = 1;
    for (const auto* specs : {&variant.inputs, &variant.outputs}) {
        for (const auto& spec : *specs) {
            for (const Extent& size : spec.shape) {
                if (!size.axis.empty()) largest = std::max(largest, size.factor);
            }
        }
    }
    return (axes == 1 ? std::int64_t{1} << 18 : axes == 2 ? 512 : 64) / largest;
}

std::vector<std::string> cut_axes(const Variant& variant) {
    std::vector<std::string> names;
    for (const auto& item : variant.axes) {
        if (item.first != batch) names.push_back(item.first);
    }
    return names;
}

}  // namespace

std::vector<Piece> pieces(const Axis& axis, std::int64_t size, std::int64_t side) {
    const std::int64_t steps = (axis.margin.value_or(0) + axis.multiple - 1) / axis.multiple;
    const std::int64_t margin = steps * axis.multiple;  // below 2^54
    const std::int64_t reach = 2 * margin;
    // With two margins alone in a tile, nearly all that is computed would be thrown away.
    side = std::max({side / axis.multiple * axis.multiple, 2 * reach + axis.multiple, axis.min});
    if (size <= side) return {{0, size, 0, size}};
    std::vector<Piece> found;
    const std::int64_t step = side - reach;
    for (std::int64_t start = 0; start < size; start += step) {
        const std::int64_t stop = std::min(start + step, size);
        Piece piece{start, stop, std::max<std::int64_t>(0, start - margin),
                    std::min(size, stop + margin)};
        // A tile at an end may be shorter than the axis allows: it takes more than it needs.
        piece.first = std::max<std::int64_t>(0, std::min(piece.first, piece.last - axis.min));
        piece.last = std::max(piece.last, piece.first + axis.min);
        found.push_back(piece);
    }
    return found;
}

std::int64_t values_of_row(const Variant& variant, const Sizes& sizes) {
    std::int64_t most = 0;
    for (const auto* specs : {&variant.inputs, &variant.outputs}) {
        for (const TensorSpec& spec : *specs) {
            std::int64_t values = 1;
            const Shape shape = shape_at({spec.shape.begin() + 1, spec.shape.end()}, sizes);
            for (const std::int64_t size : shape) values = product(values, size);
            most = std::max(most, values);
        }
    }
    return most;
}

bool runs_in_tiles(const Variant& variant, const Sizes& sizes) {
    const bool local = std::all_of(variant.axes.begin(), variant.axes.end(),
                                   [](const auto& item) { return item.second.margin.has_value(); });
    return local && !cut_axes(variant).empty() && values_of_row(variant, sizes) > many_values;
}

void each_tile(const Variant& variant, const Sizes& sizes,
               const std::function<void(const Tile&)>& use) {
    const std::vector<std::string> names = cut_axes(variant);
    const bool many = runs_in_tiles(variant, sizes);
    std::vector<std::vector<Piece>> cuts;
    for (const std::string& name : names) {
        const std::int64_t size = sizes.at(name);
        cuts.push_back(many ? pieces(variant.axes.at(name), size, side_of(variant, names.size()))
                            : std::vector<Piece>{{0, size, 0, size}});
    }
    std::vector<std::size_t> at(names.size(), 0);
    while (true) {
        Tile tile;
        for (std::size_t i = 0; i < names.size(); ++i) tile.emplace(names[i], cuts[i][at[i]]);
        use(tile);
        std::size_t axis = names.size();
        do {
            if (axis == 0) return;
            --axis;
            at[axis] = at[axis] + 1 == cuts[axis].size() ? 0 : at[axis] + 1;
        } while (at[axis] == 0);
    }
}

Spans inputs_of(const Layout& layout, const Shape& whole, const Tile& tile) {
    Spans spans;
    for (std::size_t i = 0; i < layout.size(); ++i) {
        const auto found = tile.find(layout[i].axis);
        Span span{0, whole[i]};
        if (found != tile.end()) {
            span.first = layout[i].at(found->second.first);
            span.count = layout[i].at(found->second.last) - span.first;
        }
        spans.push_back(span);
    }
    return spans;
}

void paste_tile(const Layout& layout, const Tensor& outputs, const Tile& tile, Tensor& whole) {
    Spans to;
    Shape from;
    for (std::size_t i = 0; i < layout.size(); ++i) {
        const auto found = tile.find(layout[i].axis);
        Span span{0, outputs.shape[i]};
        from.push_back(0);
        if (found != tile.end()) {
            const Piece& piece = found->second;
            span.first = layout[i].at(piece.start);
            span.count = layout[i].at(piece.stop) - span.first;
            from.back() = span.first - layout[i].at(piece.first);
        }
        to.push_back(span);
    }
    paste(outputs, from, whole, to);
}

}  // namespace aeonnx
