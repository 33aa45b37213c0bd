#include "tensor.hpp"

#include <algorithm>
#include <cmath>

namespace aeonnx {

double value_of(const Tensor& tensor, std::size_t index) {
    switch (tensor.dtype) {
        case DType::float32:
            return static_cast<double>(tensor.values<float>()[index]);
        case DType::float64:
            return tensor.values<double>()[index];
        case DType::uint8:
        case DType::boolean:
            return tensor.values<unsigned char>()[index];
        case DType::int32:
            return tensor.values<std::int32_t>()[index];
        case DType::int64:
            return static_cast<double>(tensor.values<std::int64_t>()[index]);
        default:
            throw Error(1, "float16 arrays cannot be compared here");
    }
}

Tensor::Tensor(DType type, Shape sizes)
    : dtype(type), shape(std::move(sizes)), bytes(count_of(shape) * width_of(type)) {}

Tensor rows_of(const Tensor& tensor, std::int64_t first, std::int64_t rows) {
    Shape shape = tensor.shape;
    shape[0] = rows;
    Tensor taken(tensor.dtype, shape);
    const std::size_t row = tensor.bytes.size() / static_cast<std::size_t>(tensor.shape[0]);
    for (std::int64_t i = 0; i < rows; ++i) {
        const std::int64_t from = std::min(first + i, tensor.shape[0] - 1);
        std::copy_n(tensor.bytes.data() + static_cast<std::size_t>(from) * row, row,
                    taken.bytes.data() + static_cast<std::size_t>(i) * row);
    }
    return taken;
}

Tensors rows_of(const Variant& variant, const Tensors& inputs, std::int64_t first,
                std::int64_t rows) {
    Tensors taken;
    for (const TensorSpec& spec : variant.inputs) {
        const Tensor& whole = inputs.at(spec.name);
        taken.emplace(spec.name, variant.has_rows(spec) ? rows_of(whole, first, rows) : whole);
    }
    return taken;
}

std::vector<double> differences(const Tensor& found, const Tensor& expected, std::int64_t first) {
    Shape as_many = expected.shape;
    if (!as_many.empty() && !found.shape.empty()) as_many[0] = found.shape[0];
    if (found.dtype != expected.dtype || found.shape.empty() || found.shape != as_many ||
        first + found.shape[0] > expected.shape[0]) {
        throw Error(1, "expected rows of " + describe(expected.dtype, expected.shape) + ", got " +
                           describe(found.dtype, found.shape) + " from row " +
                           std::to_string(first) + " on");
    }
    const std::size_t count = count_of(found.shape);
    const std::size_t row = count / static_cast<std::size_t>(found.shape[0]);
    const std::size_t offset = row * static_cast<std::size_t>(first);
    const bool codes = found.dtype == DType::int32 || found.dtype == DType::int64 ||
                       found.dtype == DType::boolean;
    std::vector<double> largest(static_cast<std::size_t>(found.shape[0]));
    for (std::size_t i = 0; i < count; ++i) {
        const double off = std::abs(value_of(found, i) - value_of(expected, offset + i));
        double& worst = largest[i / row];
        if (codes) {
            worst += (off > 0 ? 1.0 : 0.0) / static_cast<double>(row);
        } else if (!std::isnan(worst) && !(off <= worst)) {
            worst = off;
        }
    }
    return largest;
}

}  // namespace aeonnx
