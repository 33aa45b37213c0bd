#include "manifest.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>

namespace aeonnx {
namespace {

using nlohmann::json;

constexpr std::int64_t newest_version = 1;
constexpr int deepest = 64;  // levels of nesting; a manifest has eight
constexpr std::int64_t largest_size = (std::int64_t{1} << 53) - 1;  // whole in every language
constexpr std::int64_t largest_graph = std::int64_t{1} << 31;
constexpr std::size_t longest_message = 400;
constexpr std::uint64_t most_bytes = std::numeric_limits<std::int64_t>::max();
constexpr std::array<const char*, 5> dtype_names = {"float32", "uint8", "int64", "float16",
                                                    "float64"};

// Objects are not quoted: they can be as long and as deep as the file.
std::string shown(const json& value) {
    if (value.is_structured()) return value.is_array() ? "a list" : "an object";
    const std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
    return text.size() > 80 ? text.substr(0, 80) + "..." : text;
}

[[noreturn]] void refuse(const std::string& path, const std::string& expected,
                         const std::string& got) {
    throw std::runtime_error(path + ": expected " + expected + ", got " + got);
}

const json& field(const json& object, const std::string& path, const char* name) {
    if (!object.is_object())
        refuse(path.empty() ? "the manifest" : path, "an object", shown(object));
    const auto found = object.find(name);
    if (found == object.end())
        refuse(path + (path.empty() ? "" : ".") + name, "a value", "nothing");
    return *found;
}

std::string text_at(const json& value, const std::string& path) {
    if (!value.is_string()) refuse(path, "a string", shown(value));
    const std::string text = value.get<std::string>();
    if (text != printable(text)) refuse(path, "a text without control characters", shown(value));
    return text;
}

std::int64_t size_at(const json& value, const std::string& path) {
    const bool whole = value.is_number_integer();
    const bool small =
        !value.is_number_unsigned() || value.get<std::uint64_t>() <= std::uint64_t{largest_size};
    if (!whole || !small || value.get<std::int64_t>() < 1) {
        refuse(path, "a whole number from 1 to 2^53 - 1", shown(value));
    }
    return value.get<std::int64_t>();
}

std::string name_at(const std::string& name, const std::string& path, const char* others) {
    const auto known = [others](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               std::string_view(others).find(c) != std::string_view::npos;
    };
    const bool good = !name.empty() && name[0] >= 'a' && name[0] <= 'z' &&
                      std::all_of(name.begin(), name.end(), known);
    if (!good) refuse(path, "a lower-case name", shown(name));
    return name;
}

std::string digest_at(const json& value, const std::string& path) {
    const std::string digest = text_at(value, path);
    const bool good =
        digest.size() == 64 && digest.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!good) refuse(path, "64 hex digits", shown(value));
    return digest;
}

std::string file_at(const json& value, const std::string& path) {
    const std::string file = text_at(value, path);
    // A root is also a drive, where files have that.
    bool good =
        file.find('\\') == std::string::npos && !std::filesystem::path(file).has_root_path();
    for (std::size_t start = 0; good && start <= file.size();) {
        const std::size_t end = std::min(file.find('/', start), file.size());
        const std::string name = file.substr(start, end - start);
        good = !name.empty() && name != "." && name != "..";
        start = end + 1;
    }
    if (!good) refuse(path, "a path inside the bundle", shown(value));
    return file;
}

DType dtype_at(const json& value, const std::string& path) {
    const std::string name = text_at(value, path);
    const auto found = std::find(dtype_names.begin(), dtype_names.end(), name);
    if (found == dtype_names.end()) {
        refuse(path, "float32, uint8, int64, float16 or float64", shown(value));
    }
    return static_cast<DType>(std::distance(dtype_names.begin(), found));
}

Shape shape_at(const json& value, const std::string& path, DType dtype, bool with_batch) {
    if (!value.is_array()) refuse(path, "a list", shown(value));
    Shape shape;
    std::uint64_t bytes = width_of(dtype);
    for (const json& item : value) {
        if (with_batch && item == "batch") {
            shape.push_back(batch);
            continue;
        }
        shape.push_back(size_at(item, path));
        const auto size = static_cast<std::uint64_t>(shape.back());
        if (size > most_bytes / bytes) refuse(path, "a size in bytes of at most 63 bits", "more");
        bytes *= size;
    }
    return shape;
}

double number_at(const json& value, const std::string& path) {
    if (!value.is_number() || !std::isfinite(value.get<double>())) {
        refuse(path, "a finite number", shown(value));
    }
    return value.get<double>();
}

std::optional<Range> range_at(const json& value, const std::string& path) {
    if (value.is_null()) return std::nullopt;
    if (!value.is_array() || value.size() != 2) refuse(path, "two numbers or null", shown(value));
    return std::array{number_at(value[0], path + "[0]"), number_at(value[1], path + "[1]")};
}

std::vector<TensorSpec> tensors_at(const json& list, const std::string& path) {
    if (!list.is_array()) refuse(path, "a list", shown(list));
    if (list.empty()) refuse(path, "at least one tensor", "none");
    std::vector<TensorSpec> tensors;
    for (const json& item : list) {
        const std::string at = path + "[" + std::to_string(tensors.size()) + "]";
        const DType dtype = dtype_at(field(item, at, "dtype"), at + ".dtype");
        const std::string name = text_at(field(item, at, "name"), at + ".name");
        tensors.push_back({name_at(name, at + ".name", "_"), dtype,
                           shape_at(field(item, at, "shape"), at + ".shape", dtype, true),
                           range_at(field(item, at, "range"), at + ".range")});
    }
    return tensors;
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
                  shape_at(field(value, path, "shape"), path + ".shape", dtype, false)};
    if (is_output) {
        const json& shape = field(value, path, "shape");
        if (shape.empty()) refuse(path + ".shape", "at least one size", shown(shape));
        const json& tolerance = field(value, path, "tolerance");
        stored.tolerance = tolerance_at(tolerance, path + ".tolerance", stored.shape.front());
    }
    return stored;
}

std::map<std::string, Stored> golden_at(const json& value, const std::string& path,
                                        const std::vector<TensorSpec>& specs, bool is_output) {
    std::map<std::string, Stored> golden;
    for (const TensorSpec& spec : specs) {
        const json& stored = field(value, path, spec.name.c_str());
        golden.emplace(spec.name, stored_at(stored, path + "." + spec.name, is_output));
    }
    if (golden.size() != value.size()) refuse(path, "an array per tensor", "others too");
    return golden;
}

Variant variant_at(const json& value, const std::string& path) {
    Variant variant;
    variant.file = file_at(field(value, path, "file"), path + ".file");
    variant.sha256 = digest_at(field(value, path, "sha256"), path + ".sha256");
    variant.bytes = size_at(field(value, path, "bytes"), path + ".bytes");
    if (variant.bytes > largest_graph) {
        refuse(path + ".bytes", "at most 2 GiB", std::to_string(variant.bytes));
    }
    variant.opset = size_at(field(value, path, "opset"), path + ".opset");
    variant.min_onnxruntime =
        text_at(field(value, path, "min_onnxruntime"), path + ".min_onnxruntime");
    variant.inputs = tensors_at(field(value, path, "inputs"), path + ".inputs");
    variant.outputs = tensors_at(field(value, path, "outputs"), path + ".outputs");
    const std::string at = path + ".golden";
    const json& golden = field(value, path, "golden");
    variant.golden_inputs =
        golden_at(field(golden, at, "inputs"), at + ".inputs", variant.inputs, false);
    variant.golden_outputs =
        golden_at(field(golden, at, "outputs"), at + ".outputs", variant.outputs, true);
    return variant;
}

Manifest manifest_of(const json& document) {
    const json& format = field(document, "", "format");
    if (format != "aeonnx-bundle") refuse("format", "\"aeonnx-bundle\"", shown(format));
    const std::int64_t version = size_at(field(document, "", "version"), "version");
    if (version > newest_version) {
        throw std::runtime_error("version " + std::to_string(version) +
                                 " is newer than this program, which reads " +
                                 std::to_string(newest_version) + ": take a newer one");
    }
    Manifest manifest;
    manifest.model = text_at(field(document, "", "model"), "model");
    const json& image = field(document, "", "input_shape");
    const Shape shape = shape_at(image, "input_shape", DType::uint8, false);
    if (shape.size() != 3) refuse("input_shape", "[C, H, W]", shown(image));
    std::copy(shape.begin(), shape.end(), manifest.input_shape.begin());
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

std::size_t width_of(DType dtype) {
    switch (dtype) {
        case DType::uint8:
            return 1;
        case DType::float16:
            return 2;
        case DType::float32:
            return 4;
        default:
            return 8;
    }
}

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

bool has_rows(const TensorSpec& input) { return input.name != "seed"; }

std::string describe(DType dtype, const Shape& shape) {
    std::string text;
    for (const std::int64_t size : shape) {
        text += (text.empty() ? "" : ", ") + (size == batch ? "batch" : std::to_string(size));
    }
    return std::string(dtype_names[static_cast<std::size_t>(dtype)]) + " [" + text + "]";
}

std::string describe(const TensorSpec& spec) {
    return spec.name + " " + describe(spec.dtype, spec.shape);
}

std::size_t count_of(const Shape& shape) {
    std::uint64_t count = 1;
    for (const std::int64_t size : shape) {
        const auto values = static_cast<std::uint64_t>(size);
        if (size < 0 || (values > 0 && count > most_bytes / 8 / values)) {
            throw Error(1, "expected a shape whose values can be counted, got one too large");
        }
        count *= values;
    }
    return static_cast<std::size_t>(count);
}

}  // namespace aeonnx
