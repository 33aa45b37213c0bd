// What the fields of a variant must be for each other.
#pragma once

#include <string>

#include "manifest.hpp"

namespace aeonnx {

// The axes are those of the tensors; inputs decide the sizes of outputs; rows are the first axis of
// all outputs; golden arrays have the shapes and types of the tensors, at sizes that are allowed.
// `path` is the variant's place in the manifest.
// Throws std::runtime_error: the field, what was expected, and what came.
void require_rules(const Variant& variant, const std::string& path);

}  // namespace aeonnx
