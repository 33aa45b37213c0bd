// What a bundle's manifest.json says, checked.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace aeonnx {

// Every failure of this library: a line for people, and the code to leave a program with.
struct Error : std::runtime_error {
    Error(int code, const std::string& text) : std::runtime_error(text), exit_code(code) {}
    int exit_code;  // 1 failed, 2 usage, 4 the machine lacks something
};

using Shape = std::vector<std::int64_t>;

constexpr std::int64_t batch = -1;  // in a shape: any number of rows

enum class DType { float32, uint8, int64, float16, float64 };

std::size_t width_of(DType dtype);  // bytes of one value

// A tensor that a graph takes or gives.
struct TensorSpec {
    std::string name;
    DType dtype;
    Shape shape;
};

// An array in a file: raw, little-endian, row-major.
struct Stored {
    std::string file;  // inside the bundle
    std::string sha256;
    DType dtype;
    Shape shape;
    double tolerance;  // of an output: the largest |difference| that counts as equal
};

// One graph: a part in one precision.
struct Variant {
    std::string file;  // inside the bundle
    std::string sha256;
    std::int64_t opset;
    std::string min_onnxruntime;
    std::vector<TensorSpec> inputs, outputs;
    std::map<std::string, Stored> golden_inputs, golden_outputs;
};

struct Manifest {
    std::string model;
    std::array<std::int64_t, 3> input_shape;                      // [C, H, W] of an image
    std::map<std::string, std::map<std::string, Variant>> parts;  // by name, then by variant
};

// Read a manifest; `where` is its name in messages. What is used is checked, the rest is skipped.
// Throws Error 1: names the field, what was expected and what came.
Manifest parse_manifest(std::string_view text, const std::string& where);

// A tensor in words: "z float32 [batch, 20]".
std::string describe(const TensorSpec& spec);

// The number of values; the manifest's shapes are checked to fit.
std::size_t count_of(const Shape& shape);

}  // namespace aeonnx
