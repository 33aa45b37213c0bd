// What a manifest says of tensors: their types, shapes and axes.
#pragma once

#include <string>
#include <vector>

#include "fields.hpp"
#include "manifest.hpp"

namespace aeonnx {

// `path` is the field's place in the document, as in fields.hpp. All throw std::runtime_error: the
// path, what was expected, and what came.

DType dtype_at(const json& value, const std::string& path);
std::int64_t size_at(const json& value, const std::string& path);  // from 1 on
Shape shape_in(const json& value, const std::string& path);        // of an array

std::vector<TensorSpec> tensors_at(const json& list, const std::string& path);  // one at least
Axes axes_at(const json& value, const std::string& path);

}  // namespace aeonnx
