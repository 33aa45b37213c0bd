// Arrays before they reach a graph: checked, and made what it takes.
#pragma once

#include <string>

#include "manifest.hpp"
#include "tensor.hpp"

namespace aeonnx {

// The sizes of all axes, that of rows included, for the inputs of a part.
// Throws Error 1: an input is missing or unknown, has another type or shape, or its sizes break a
// rule of the axes.
Sizes sizes_in(const std::string& part, const Variant& variant, const Tensors& inputs);

// As float32, where that is expected and float16 or float64 came: rounded to the nearest. Values
// that are too large become infinite.
Tensor converted(Tensor value, DType expected);

// Pixels as what an input of images takes: as floats of its range, see pixels.hpp, or as they are.
Tensor as_input(Tensor pixels, const TensorSpec& input);

// Whether an input takes any number from 0 on: a graph would count negative ones from the end.
bool takes_numbers(const TensorSpec& spec);

// Throws Error 1: a value is not finite, or outside the range of the input, whose ends are rounded to
// its type; or is negative where the input takes numbers. NaN may stand for missing values, where the
// input may have them.
void require_values(const std::string& part, const TensorSpec& spec, const Tensor& value);

}  // namespace aeonnx
