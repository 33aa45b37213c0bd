#include "manifest.hpp"

#include <cmath>
#include <utility>

#include "fields.hpp"
#include "rules.hpp"

namespace aeonnx {
namespace {

constexpr std::int64_t this_version = 2;
constexpr int deepest = 64;  // levels of nesting; a manifest has nine
constexpr std::int64_t largest_file = std::int64_t{1} << 31;
constexpr std::int64_t most_values = std::int64_t{1} << 50;
constexpr std::size_t longest_message = 400;

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

DType dtype_at(const json& value, const std::string& path) {
    return one_of<DType>(dtype_count, value, path);
}

std::int64_t size_at(const json& value, const std::string& path) {
    return whole_at(value, path, 1);
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

Shape shape_in(const json& value, const std::string& path) {
    if (!value.is_array()) refuse(path, "a list", shown(value));
    Shape shape;
    for (const json& item : value) shape.push_back(size_at(item, path));
    require_countable(shape, path);
    return shape;
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

std::vector<TensorSpec> tensors_at(const json& list, const std::string& path) {
    if (!list.is_array()) refuse(path, "a list", shown(list));
    if (list.empty()) refuse(path, "at least one tensor", "none");
    std::vector<TensorSpec> tensors;
    for (const json& item : list) {
        tensors.push_back(tensor_at(item, path + "[" + std::to_string(tensors.size()) + "]"));
    }
    return tensors;
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

Axes axes_at(const json& value, const std::string& path) {
    if (!value.is_object()) refuse(path, "an object", shown(value));
    Axes axes;
    for (const auto& [name, axis] : value.items()) {
        axes.emplace(name, axis_at(axis, path + "." + name_at(name, path, "_")));
    }
    return axes;
}

std::vector<double> tolerance_at(const json& value, const std::string& path, std::int64_t rows) {
    const std::string expected = std::to_string(rows) + " numbers above 0";
    if (!value.is_array()) refuse(path, expected, shown(value));
    if (std::uint64_t{value.size()} != static_cast<std::uint64_t>(rows)) {
        refuse(path, expected, "a list of " + std::to_string(value.size()));
    }
    std::vector<double> tolerance;
    for (const json& item : value) {
        const bool good = item.is_number() && std::isfinite(item.get<double>()) && item > 0;
        if (!good) {
            refuse(path + "[" + std::to_string(tolerance.size()) + "]", "a number above 0",
                   shown(item));
        }
        tolerance.push_back(item.get<double>());
    }
    return tolerance;
}

Stored stored_at(const json& value, const std::string& path, bool is_output) {
    const DType dtype = dtype_at(field(value, path, "dtype"), path + ".dtype");
    Stored stored{file_at(field(value, path, "file"), path + ".file"),
                  digest_at(field(value, path, "sha256"), path + ".sha256"), dtype,
                  shape_in(field(value, path, "shape"), path + ".shape")};
    if (count_of(stored.shape) * width_of(dtype) > std::size_t{largest_file}) {
        refuse(path + ".shape", "at most 2 GiB", describe(dtype, stored.shape));
    }
    if (is_output) {
        if (stored.shape.empty()) refuse(path + ".shape", "at least one size", "none");
        const json& tolerance = field(value, path, "tolerance");
        stored.tolerance = tolerance_at(tolerance, path + ".tolerance", stored.shape.front());
    }
    return stored;
}

std::map<std::string, Stored> arrays_at(const json& value, const std::string& path,
                                        const std::vector<TensorSpec>& specs, bool is_output) {
    std::map<std::string, Stored> arrays;
    for (const TensorSpec& spec : specs) {
        const json& stored = field(value, path, spec.name.c_str());
        arrays.emplace(spec.name, stored_at(stored, path + "." + spec.name, is_output));
    }
    if (arrays.size() != value.size()) refuse(path, "an array per tensor", "others too");
    return arrays;
}

std::vector<Golden> golden_at(const json& list, const std::string& path, const Variant& variant) {
    if (!list.is_array()) refuse(path, "a list", shown(list));
    if (list.empty()) refuse(path, "at least one set of vectors", "none");
    std::vector<Golden> golden;
    for (const json& set : list) {
        const std::string at = path + "[" + std::to_string(golden.size()) + "]";
        golden.push_back(
            {arrays_at(field(set, at, "inputs"), at + ".inputs", variant.inputs, false),
             arrays_at(field(set, at, "outputs"), at + ".outputs", variant.outputs, true)});
    }
    return golden;
}

Variant variant_at(const json& value, const std::string& path) {
    Variant variant;
    variant.file = file_at(field(value, path, "file"), path + ".file");
    variant.sha256 = digest_at(field(value, path, "sha256"), path + ".sha256");
    variant.bytes = size_at(field(value, path, "bytes"), path + ".bytes");
    if (variant.bytes > largest_file) {
        refuse(path + ".bytes", "at most 2 GiB", std::to_string(variant.bytes));
    }
    variant.opset = size_at(field(value, path, "opset"), path + ".opset");
    variant.min_onnxruntime =
        text_at(field(value, path, "min_onnxruntime"), path + ".min_onnxruntime");
    variant.inputs = tensors_at(field(value, path, "inputs"), path + ".inputs");
    variant.outputs = tensors_at(field(value, path, "outputs"), path + ".outputs");
    variant.axes = axes_at(field(value, path, "axes"), path + ".axes");
    variant.golden = golden_at(field(value, path, "golden"), path + ".golden", variant);
    require_rules(variant, path);
    return variant;
}

void require_version(const json& document) {
    const json& format = field(document, "", "format");
    if (format != "aeonnx-bundle") refuse("format", "\"aeonnx-bundle\"", shown(format));
    const std::int64_t version = size_at(field(document, "", "version"), "version");
    if (version == this_version) return;
    const bool newer = version > this_version;
    throw std::runtime_error("version " + std::to_string(version) + " is " +
                             (newer ? "newer" : "older") + " than this program, which reads " +
                             std::to_string(this_version) + ": " +
                             (newer ? "take a newer one" : "export the bundle again"));
}

Manifest manifest_of(const json& document) {
    require_version(document);
    Manifest manifest;
    manifest.model = text_at(field(document, "", "model"), "model");
    const json& parts = field(document, "", "parts");
    if (!parts.is_object()) refuse("parts", "an object", shown(parts));
    if (parts.empty()) throw std::runtime_error("parts: expected at least one part");
    for (const auto& [part, variants] : parts.items()) {
        const std::string path = "parts." + name_at(part, "parts", "_");
        field(variants, path, "fp32");
        for (const auto& [name, variant] : variants.items()) {
            const std::string at = path + "." + name_at(name, path, "-");
            manifest.parts[part].emplace(name, variant_at(variant, at));
        }
    }
    return manifest;
}

}  // namespace

Manifest parse_manifest(std::string_view text, const std::string& where) {
    const auto shallow = [](int depth, json::parse_event_t, json&) {
        if (depth > deepest) throw std::runtime_error("it is nested too deep");
        return true;
    };
    try {
        return manifest_of(json::parse(text.begin(), text.end(), shallow));
    } catch (const std::exception& error) {
        const std::string reason = error.what();
        const bool cut = reason.size() > longest_message;
        throw Error(1, where + ": " + reason.substr(0, longest_message) + (cut ? "..." : ""));
    }
}

}  // namespace aeonnx
