#include <array>

#include "manifest.hpp"

namespace aeonnx {
namespace {

constexpr std::array<const char*, dtype_count> dtype_names = {
    "float32", "uint8", "int64", "float16", "float64", "int32", "bool"};
constexpr std::array<const char*, kind_count> kind_names = {
    "image", "latent", "codes", "vector", "signal", "volume", "label",
    "score", "seed",   "index", "canvas", "mask",   "other"};

std::string joined(const std::vector<std::string>& sizes) {
    std::string text;
    for (const std::string& size : sizes) text += (text.empty() ? "" : ", ") + size;
    return "[" + text + "]";
}

}  // namespace

std::size_t width_of(DType dtype) {
    switch (dtype) {
        case DType::uint8:
        case DType::boolean:
            return 1;
        case DType::float16:
            return 2;
        case DType::float32:
        case DType::int32:
            return 4;
        default:
            return 8;
    }
}

const char* name_of(DType dtype) { return dtype_names[static_cast<std::size_t>(dtype)]; }

const char* name_of(Kind kind) { return kind_names[static_cast<std::size_t>(kind)]; }

bool Variant::has_rows(const TensorSpec& input) const {
    return input.shape.front() == outputs.front().shape.front() && input.kind != Kind::seed;
}

std::optional<std::int64_t> Variant::fixed_rows() const {
    const Extent& rows = outputs.front().shape.front();
    return rows.axis.empty() ? std::optional(rows.factor) : std::nullopt;
}

Layout Variant::shape_of_rows(const TensorSpec& spec, bool is_output) const {
    Layout layout = spec.shape;
    if (is_output || has_rows(spec)) layout.front() = *read_size(batch, true);
    return layout;
}

std::string describe(const Layout& layout) {
    std::vector<std::string> sizes;
    for (const Extent& size : layout) sizes.push_back(size.text);
    return joined(sizes);
}

std::string describe(DType dtype, const Layout& layout) {
    return std::string(name_of(dtype)) + " " + describe(layout);
}

std::string describe(DType dtype, const Shape& shape) {
    std::vector<std::string> sizes;
    for (const std::int64_t size : shape) sizes.push_back(std::to_string(size));
    return std::string(name_of(dtype)) + " " + joined(sizes);
}

std::string describe(const TensorSpec& spec) {
    return spec.name + " " + describe(spec.dtype, spec.shape);
}

std::size_t count_of(const Shape& shape) {
    std::int64_t count = 1;
    for (const std::int64_t size : shape) {
        count = size < 0 ? uncountable : product(count, size);
        if (count > uncountable / 8) {
            throw Error(1, "expected a shape whose values can be counted, got one too large");
        }
    }
    return static_cast<std::size_t>(count);
}

}  // namespace aeonnx
