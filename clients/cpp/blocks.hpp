// Blocks of arrays: cut out of one, and pasted into another.
#pragma once

#include <vector>

#include "tensor.hpp"

namespace aeonnx {

// The places of a block along one axis: `count` from `first` on.
struct Span {
    std::int64_t first, count;
};

using Spans = std::vector<Span>;  // one for each axis

// A block of an array. Behind the end of an axis the array goes on by reflection, without its last
// place (numpy's "reflect"); an axis of one place repeats it.
Tensor cut(const Tensor& whole, const Spans& spans);

// Write a part of `block`, from the places `from` on, to the places `to` of an array of the same
// type; what lies behind the array's end is left out.
void paste(const Tensor& block, const Shape& from, Tensor& whole, const Spans& to);

}  // namespace aeonnx
