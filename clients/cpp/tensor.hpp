// Arrays in memory.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "manifest.hpp"

namespace aeonnx {

// An array of its own: row-major values of one type.
struct Tensor {
    DType dtype = DType::float32;
    Shape shape;
    std::vector<std::byte> bytes;

    Tensor() = default;
    Tensor(DType type, Shape sizes);  // of zeros

    template <typename T>
    T* values() {
        return reinterpret_cast<T*>(bytes.data());
    }
    template <typename T>
    const T* values() const {
        return reinterpret_cast<const T*>(bytes.data());
    }
};

// One value, rounded to double. Throws Error 1: it is a float16.
double value_of(const Tensor& tensor, std::size_t index);

using Tensors = std::map<std::string, Tensor>;

// Rows `first` to `first + rows - 1`; behind the last one, that one again.
Tensor rows_of(const Tensor& tensor, std::int64_t first, std::int64_t rows);

// The same of a graph's inputs; those without rows stay whole.
Tensors rows_of(const Variant& variant, const Tensors& inputs, std::int64_t first,
                std::int64_t rows);

// Largest |found - expected| of each row of `found`, which stand for those from `first` on; NaN if
// there is one. Of int32, int64 and bool the share of the row's values that differ. Throws Error 1:
// there are no such rows, or they are float16.
std::vector<double> differences(const Tensor& found, const Tensor& expected, std::int64_t first);

}  // namespace aeonnx
