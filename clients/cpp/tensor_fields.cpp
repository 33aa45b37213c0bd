#include "tensor_fields.hpp"

#include <utility>

namespace aeonnx {
namespace {

constexpr std::int64_t most_values = std::int64_t{1} << 50;

// The value whose name a text is.
template <typename Named>
Named one_of(int count, const json& value, const std::string& path) {
    const std::string text = text_at(value, path);
    std::string all;
    for (int i = 0; i < count; ++i) {
        const auto known = static_cast<Named>(i);
        if (text == name_of(known)) return known;
        all += (i ? ", " : "") + std::string(name_of(known));
    }
    refuse(path, "one of " + all, shown(value));
}

std::optional<std::int64_t> limit_at(const json& value, const std::string& path,
                                     std::int64_t least) {
    if (value.is_null()) return std::nullopt;
    return whole_at(value, path, least);
}

// How many values there are, as far as sizes are numbers.
void require_countable(const Shape& numbers, const std::string& path) {
    std::int64_t values = 1;
    for (const std::int64_t size : numbers) values = product(values, size);
    if (values >= most_values) refuse(path, "fewer than 2^50 values", "more");
}

Layout layout_at(const json& value, const std::string& path) {
    if (!value.is_array() || value.empty()) refuse(path, "a list of sizes", shown(value));
    Layout layout;
    Shape numbers;
    for (const json& item : value) {
        if (!item.is_string()) {
            numbers.push_back(size_at(item, path));
            layout.push_back(fixed_size(numbers.back()));
            continue;
        }
        const auto size = read_size(text_at(item, path), layout.empty());
        if (!size) {
            refuse(path,
                   "sizes above 0, \"batch\" for the first, or axes such as height and height/8",
                   shown(item));
        }
        layout.push_back(*size);
    }
    require_countable(numbers, path);
    return layout;
}

// The number of axes of a tensor of a kind, with that of rows; 0 where it may have any.
std::size_t rank_of(Kind kind) {
    switch (kind) {
        case Kind::score:
        case Kind::seed:
        case Kind::index:
            return 1;
        case Kind::vector:
            return 2;
        case Kind::signal:
        case Kind::canvas:
            return 3;
        case Kind::image:
            return 4;
        case Kind::volume:
            return 5;
        default:
            return 0;
    }
}

Kind kind_at(const json& value, const std::string& path, const Layout& layout) {
    const auto kind = one_of<Kind>(kind_count, value, path);
    const std::size_t rank = rank_of(kind);
    if (rank && rank != layout.size()) {
        refuse(path, std::to_string(rank) + " axes of a tensor of the kind " + name_of(kind),
               describe(layout));
    }
    return kind;
}

std::optional<Range> range_at(const json& value, const std::string& path) {
    if (value.is_null()) return std::nullopt;
    if (!value.is_array() || value.size() != 2) refuse(path, "two numbers or null", shown(value));
    return std::array{number_at(value[0], path + "[0]"), number_at(value[1], path + "[1]")};
}

bool missing_in(const json& item, const std::string& path, DType dtype) {
    const bool missing = flag_in(item, path, "missing");
    const bool floats =
        dtype == DType::float32 || dtype == DType::float16 || dtype == DType::float64;
    if (missing && !floats) refuse(path + ".missing", "floats, which have NaN", name_of(dtype));
    return missing;
}

TensorSpec tensor_at(const json& item, const std::string& path) {
    const std::string name = text_at(field(item, path, "name"), path + ".name");
    const Layout layout = layout_at(field(item, path, "shape"), path + ".shape");
    const DType dtype = dtype_at(field(item, path, "dtype"), path + ".dtype");
    return {name_at(name, path + ".name", "_"),
            dtype,
            layout,
            range_at(field(item, path, "range"), path + ".range"),
            kind_at(field(item, path, "kind"), path + ".kind", layout),
            missing_in(item, path, dtype)};
}

void require_multiple(std::int64_t size, const Axis& axis, const std::string& path) {
    if (size % axis.multiple == 0) return;
    refuse(path, "a multiple of " + std::to_string(axis.multiple), std::to_string(size));
}

Axis axis_at(const json& value, const std::string& path) {
    Axis axis;
    axis.multiple = size_at(field(value, path, "multiple"), path + ".multiple");
    axis.min = size_at(field(value, path, "min"), path + ".min");
    axis.max = limit_at(field(value, path, "max"), path + ".max", 1);
    axis.margin = limit_at(field(value, path, "margin"), path + ".margin", 0);
    require_multiple(axis.min, axis, path + ".min");
    if (axis.max) require_multiple(*axis.max, axis, path + ".max");
    if (axis.max && *axis.max < axis.min) {
        refuse(path + ".max", "at least min, " + std::to_string(axis.min),
               std::to_string(*axis.max));
    }
    return axis;
}

}  // namespace

DType dtype_at(const json& value, const std::string& path) {
    return one_of<DType>(dtype_count, value, path);
}

std::int64_t size_at(const json& value, const std::string& path) {
    return whole_at(value, path, 1);
}

Shape shape_in(const json& value, const std::string& path) {
    if (!value.is_array()) refuse(path, "a list", shown(value));
    Shape shape;
    for (const json& item : value) shape.push_back(size_at(item, path));
    require_countable(shape, path);
    return shape;
}

std::vector<TensorSpec> tensors_at(const json& list, const std::string& path) {
    if (!list.is_array()) refuse(path, "a list", shown(list));
    if (list.empty()) refuse(path, "at least one tensor", "none");
    std::vector<TensorSpec> tensors;
    for (const json& item : list) {
        tensors.push_back(tensor_at(item, path + "[" + std::to_string(tensors.size()) + "]"));
    }
    return tensors;
}

Axes axes_at(const json& value, const std::string& path) {
    Axes axes;
    for (const auto& [name, axis] : object_at(value, path).items()) {
        axes.emplace(name, axis_at(axis, path + "." + name_at(name, path, "_")));
    }
    return axes;
}

}  // namespace aeonnx
