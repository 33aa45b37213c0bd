#include "inputs.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utility>
#include <vector>

#include "pixels.hpp"

namespace aeonnx {
namespace {

std::string named(const std::vector<TensorSpec>& specs) {
    std::string text;
    for (const TensorSpec& spec : specs) text += (text.empty() ? "" : ", ") + describe(spec);
    return text;
}

// With enough digits to tell neighbouring float32 values apart.
std::string exact(double value) {
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), "%.9g", value);
    return text.data();
}

float from_float16(std::uint16_t bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const float size = exponent == 31 ? (fraction ? NAN : INFINITY)
                       : exponent ? std::ldexp(static_cast<float>(fraction + 1024), exponent - 25)
                                  : std::ldexp(static_cast<float>(fraction), -24);
    return bits >> 15 ? -size : size;
}

// The range as values of this type: 0.1 in float32 is in [0, 0.1].
Range range_in(Range range, DType dtype) {
    if (dtype != DType::float32) return range;
    for (double& end : range) end = static_cast<double>(static_cast<float>(end));
    return range;
}

}  // namespace

Sizes sizes_in(const std::string& part, const Variant& variant, const Tensors& inputs) {
    std::vector<Given> given;
    for (const TensorSpec& spec : variant.inputs) {
        const auto found = inputs.find(spec.name);
        if (found == inputs.end() || inputs.size() != variant.inputs.size()) {
            throw Error(1, part + ": expected the inputs " + named(variant.inputs));
        }
        const Tensor& tensor = found->second;
        const Layout layout = variant.shape_of_rows(spec, false);
        if (tensor.dtype != spec.dtype || !is_like(layout, tensor.shape)) {
            throw Error(1, part + ": " + spec.name + ": expected " + describe(spec.dtype, layout) +
                               ", got " + describe(tensor.dtype, tensor.shape));
        }
        if (tensor.bytes.size() != count_of(tensor.shape) * width_of(tensor.dtype)) {
            throw Error(1, part + ": " + spec.name + ": expected the bytes of " +
                               describe(tensor.dtype, tensor.shape) + ", got " +
                               std::to_string(tensor.bytes.size()));
        }
        given.push_back({spec.name, layout, tensor.shape});
    }
    Axes axes = variant.axes;
    axes.emplace(batch, Axis{});  // of a graph that is fixed to a number of rows
    try {
        return solve(given, axes);
    } catch (const std::runtime_error& error) {
        throw Error(1, part + ": " + error.what());
    }
}

Tensor converted(Tensor value, DType expected) {
    const bool rounds = value.dtype == DType::float16 || value.dtype == DType::float64;
    if (expected != DType::float32 || !rounds) return value;
    Tensor rounded(DType::float32, value.shape);
    const std::size_t count = count_of(value.shape);
    float* to = rounded.values<float>();
    if (value.dtype == DType::float64) {
        std::transform(value.values<double>(), value.values<double>() + count, to,
                       [](double number) { return static_cast<float>(number); });
    } else {
        std::transform(value.values<std::uint16_t>(), value.values<std::uint16_t>() + count, to,
                       from_float16);
    }
    return rounded;
}

Tensor as_input(Tensor pixels, const TensorSpec& input) {
    if (input.dtype == DType::uint8) return pixels;
    Tensor x(DType::float32, pixels.shape);
    from_pixels(pixels.values<unsigned char>(), pixels.bytes.size(), *input.range,
                x.values<float>());
    return x;
}

bool takes_numbers(const TensorSpec& spec) {
    return !spec.range && (spec.kind == Kind::label || spec.kind == Kind::codes);
}

void require_values(const std::string& part, const TensorSpec& spec, const Tensor& value) {
    const std::size_t count = count_of(value.shape);
    if (count == 0 || value.dtype == DType::float16) return;  // a float16 is refused as a type
    double lowest = INFINITY, highest = -INFINITY;  // and so they stay where all are missing
    bool finite = true;
    for (std::size_t i = 0; i < count; ++i) {
        const double number = value_of(value, i);
        if (spec.missing && std::isnan(number)) continue;
        finite = finite && std::isfinite(number);
        lowest = std::min(lowest, number);
        highest = std::max(highest, number);
    }
    const std::string where = part + ": " + spec.name + ": expected ";
    if (!finite) throw Error(1, where + "finite values, got NaN or infinity");
    if (takes_numbers(spec) && lowest < 0) {
        throw Error(1, where + "values of 0 or more, got " + exact(lowest));
    }
    if (!spec.range) return;
    const Range allowed = range_in(*spec.range, value.dtype);
    if (allowed[0] <= lowest && highest <= allowed[1]) return;
    throw Error(1, where + "values in [" + exact((*spec.range)[0]) + ", " +
                       exact((*spec.range)[1]) + "], got " + exact(lowest) + " to " +
                       exact(highest));
}

}  // namespace aeonnx
