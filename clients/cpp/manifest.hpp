// What a bundle's manifest.json says, checked.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text.hpp"

namespace aeonnx {

using Shape = std::vector<std::int64_t>;

constexpr std::int64_t batch = -1;  // in a shape: any number of rows

using Range = std::array<double, 2>;  // lowest and highest value

enum class DType { float32, uint8, int64, float16, float64 };

std::size_t width_of(DType dtype);  // bytes of one value

// A tensor that a graph takes or gives.
struct TensorSpec {
    std::string name;
    DType dtype;
    Shape shape;
    std::optional<Range> range = {};  // nothing if any value may come
};

// Whether an input has a row per answer: all but `seed`, which is one value for all rows.
bool has_rows(const TensorSpec& input);

// An array in a file: raw, little-endian, row-major.
struct Stored {
    std::string file;  // inside the bundle
    std::string sha256;
    DType dtype;
    Shape shape;
    // Of an output, above 0, for each of its rows: the largest |difference| that counts as equal.
    std::vector<double> tolerance = {};
};

// One graph: a part in one precision.
struct Variant {
    std::string file;  // inside the bundle
    std::string sha256;
    std::int64_t bytes;  // size of the file
    std::int64_t opset;
    std::string min_onnxruntime;
    std::vector<TensorSpec> inputs, outputs;  // one at least of each
    std::map<std::string, Stored> golden_inputs, golden_outputs;
};

struct Manifest {
    std::string model;
    std::array<std::int64_t, 3> input_shape;                      // [C, H, W] of an image
    std::map<std::string, std::map<std::string, Variant>> parts;  // by name, then by variant: fp32
};

// Read a manifest; `where` is its name in messages. What is used is checked, the rest is skipped.
// Throws Error 1: names the field, what was expected and what came.
Manifest parse_manifest(std::string_view text, const std::string& where);

// A tensor as errors print it: "z float32 [batch, 20]".
std::string describe(const TensorSpec& spec);
std::string describe(DType dtype, const Shape& shape);

// The number of values. Throws Error 1: it is negative, or its bytes do not fit 63 bits.
std::size_t count_of(const Shape& shape);

}  // namespace aeonnx
