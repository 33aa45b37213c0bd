#include "manifest.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>

namespace aeonnx {
namespace {

using nlohmann::json;

constexpr std::int64_t newest_version = 1;
constexpr int deepest = 64;  // levels of nesting; a manifest has eight
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
    return value.get<std::string>();
}

std::int64_t size_at(const json& value, const std::string& path) {
    const bool whole = value.is_number_integer();
    const bool small = !value.is_number_unsigned() ||
                       value.get<std::uint64_t>() <= std::numeric_limits<std::int64_t>::max();
    if (!whole || !small || value.get<std::int64_t>() < 1) {
        refuse(path, "a whole number above 0", shown(value));
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
    bool good = !file.empty() && file[0] != '/' && file.find('\\') == std::string::npos &&
                std::none_of(file.begin(), file.end(), [](unsigned char c) { return c < ' '; });
    for (std::size_t start = 0; good && start < file.size();) {
        const std::size_t end = std::min(file.find('/', start), file.size());
        good = file.substr(start, end - start) != "..";
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
        if (size > std::numeric_limits<std::int64_t>::max() / bytes) {
            refuse(path, "a size in bytes of at most 63 bits", "more");
        }
        bytes *= size;
    }
    return shape;
}

std::vector<TensorSpec> tensors_at(const json& list, const std::string& path) {
    if (!list.is_array()) refuse(path, "a list", shown(list));
    std::vector<TensorSpec> tensors;
    for (const json& item : list) {
        const std::string at = path + "[" + std::to_string(tensors.size()) + "]";
        const DType dtype = dtype_at(field(item, at, "dtype"), at + ".dtype");
        const std::string name = text_at(field(item, at, "name"), at + ".name");
        tensors.push_back({name_at(name, at + ".name", "_"), dtype,
                           shape_at(field(item, at, "shape"), at + ".shape", dtype, true)});
    }
    return tensors;
}

Stored stored_at(const json& value, const std::string& path, bool is_output) {
    const DType dtype = dtype_at(field(value, path, "dtype"), path + ".dtype");
    Stored stored{file_at(field(value, path, "file"), path + ".file"),
                  digest_at(field(value, path, "sha256"), path + ".sha256"), dtype,
                  shape_at(field(value, path, "shape"), path + ".shape", dtype, false), 0};
    if (is_output) {
        const json& tolerance = field(value, path, "tolerance");
        stored.tolerance = tolerance.is_number() ? tolerance.get<double>() : -1;
        if (!(stored.tolerance >= 0) || std::isinf(stored.tolerance)) {
            refuse(path + ".tolerance", "a number of 0 or more", shown(tolerance));
        }
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
    for (const auto& [part, variants] : parts.items()) {
        const std::string path = "parts." + name_at(part, "parts", "_");
        if (!variants.is_object()) refuse(path, "an object", shown(variants));
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
        throw Error(1, where + ": " + error.what());
    }
}

std::string describe(const TensorSpec& spec) {
    std::string text;
    for (const std::int64_t size : spec.shape) {
        text += (text.empty() ? "" : ", ") + (size == batch ? "batch" : std::to_string(size));
    }
    return spec.name + " " + dtype_names[static_cast<std::size_t>(spec.dtype)] + " [" + text + "]";
}

std::size_t count_of(const Shape& shape) {
    std::size_t count = 1;
    for (const std::int64_t size : shape) count *= static_cast<std::size_t>(size);
    return count;
}

}  // namespace aeonnx
