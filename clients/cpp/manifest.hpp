// What a bundle's manifest.json says, checked.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "axes.hpp"
#include "text.hpp"

namespace aeonnx {

using Range = std::array<double, 2>;  // lowest and highest value

enum class DType { float32, uint8, int64, float16, float64, int32, boolean };
constexpr int dtype_count = 7;

std::size_t width_of(DType dtype);  // bytes of one value
const char* name_of(DType dtype);   // in a manifest

// What a tensor is.
enum class Kind {
    image,  // [batch, channels, height, width]
    latent,
    codes,
    vector,  // [batch, columns]
    signal,  // [batch, channels, time]
    volume,  // [batch, channels, depth, height, width]
    label,   // a whole number that names a class
    score,   // one number for each row
    seed,    // of a sampler: one for all rows
    index,   // of a sampler: one for each row
    canvas,  // of a sampler, [batch, height, width]: its size is that of the images
    mask,    // 0 or 1
    other
};
constexpr int kind_count = 13;

const char* name_of(Kind kind);

// A tensor that a graph takes or gives.
struct TensorSpec {
    std::string name;
    DType dtype;
    Layout shape;                     // one size at least
    std::optional<Range> range = {};  // nothing if any value may come
    Kind kind = Kind::other;
    bool missing = false;  // whether NaN stands for a missing value; else values are finite
};

// An array in a file: raw, little-endian, row-major.
struct Stored {
    std::string file;  // inside the bundle
    std::string sha256;
    DType dtype;
    Shape shape;
    // Of an output, above 0, for each of its rows: the largest |difference| that counts as equal.
    std::vector<double> tolerance = {};
};

// Stored inputs and the outputs of torch for them, by tensor name.
struct Golden {
    std::map<std::string, Stored> inputs, outputs;
};

using Percentiles = std::map<std::string, double>;  // scores of normal rows, by a name such as p99
using Quantiles = std::array<double, 101>;  // ascending: the lowest, of 1 % to 99 %, the highest

// One graph: a part in one precision. Inputs decide the sizes of all axes.
struct Variant {
    std::string file;  // inside the bundle
    std::string sha256;
    std::int64_t bytes = 0;  // size of the file
    std::int64_t opset = 0;
    std::string min_onnxruntime;
    std::vector<TensorSpec> inputs, outputs;  // one at least of each
    Axes axes;                                // all that are in their shapes
    std::vector<Golden> golden;               // one at least, each for some sizes of the axes
    std::map<std::string, Percentiles> percentiles;  // thresholds of outputs
    std::map<std::string, Quantiles> normal;         // what normal rows score, by such an output

    // Whether an input has a row for each row of the outputs: not a seed, nor what has other sizes.
    bool has_rows(const TensorSpec& input) const;

    // The rows that the graph is fixed to; nothing if it takes any number.
    std::optional<std::int64_t> fixed_rows() const;

    // The shape of one of its tensors for any number of rows, also where the graph is fixed to one.
    Layout shape_of_rows(const TensorSpec& spec, bool is_output) const;
};

struct Manifest {
    std::string model;
    std::map<std::string, std::map<std::string, Variant>> parts;  // by name, then by variant: fp32
};

// Read a manifest; `where` is its name in messages. What is used is checked, the rest is skipped.
// Throws Error 1: names the field, what was expected and what came.
Manifest parse_manifest(std::string_view text, const std::string& where);

// Shapes as errors print them: "[batch, 20]", "float32 [3, 20]", "z float32 [batch, 20]".
std::string describe(const Layout& layout);
std::string describe(DType dtype, const Layout& layout);
std::string describe(DType dtype, const Shape& shape);
std::string describe(const TensorSpec& spec);

// The number of values. Throws Error 1: it is negative, or its bytes do not fit 63 bits.
std::size_t count_of(const Shape& shape);

}  // namespace aeonnx
