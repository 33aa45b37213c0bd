// Tiles: pieces of an input of any size, whose outputs are those of the whole.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "blocks.hpp"
#include "manifest.hpp"

namespace aeonnx {

// A tile along one axis: the outputs of [start, stop) from the inputs of [first, last).
struct Piece {
    std::int64_t start, stop, first, last;
};

using Tile = std::map<std::string, Piece>;  // by the names of all axes but `batch`

// The tiles along an axis with a margin, of a size that it allows. `side` is the length of a tile's
// inputs; it is raised to four margins and a multiple.
std::vector<Piece> pieces(const Axis& axis, std::int64_t size, std::int64_t side);

// Whether a row of these sizes runs in tiles: it is large, and all axes have margins.
bool runs_in_tiles(const Variant& variant, const Sizes& sizes);

// Calls `use` with one tile after the other; with the whole as one where it does not run in tiles.
void each_tile(const Variant& variant, const Sizes& sizes,
               const std::function<void(const Tile&)>& use);

// The inputs of a tile in a tensor of this shape; all of what follows none of its axes.
Spans inputs_of(const Layout& layout, const Shape& whole, const Tile& tile);

// Write the outputs of a tile to the whole, see `paste`.
void paste_tile(const Layout& layout, const Tensor& outputs, const Tile& tile, Tensor& whole);

// Values of the largest input or output of one row.
std::int64_t values_of_row(const Variant& variant, const Sizes& sizes);

constexpr std::int64_t many_values = std::int64_t{1} << 22;  // of a row that runs in tiles: more

}  // namespace aeonnx
