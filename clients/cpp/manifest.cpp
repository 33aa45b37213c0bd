#include "manifest.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "fields.hpp"
#include "rules.hpp"
#include "tensor_fields.hpp"

namespace aeonnx {
namespace {

constexpr std::int64_t this_version = 2;
constexpr int deepest = 64;  // levels of nesting; a manifest has nine
constexpr std::int64_t largest_file = std::int64_t{1} << 31;
constexpr std::size_t longest_message = 400;

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

std::map<std::string, Percentiles> percentiles_at(const json& value, const std::string& path,
                                                  const std::vector<TensorSpec>& outputs) {
    std::map<std::string, Percentiles> percentiles;
    for (const auto& [output, named] : object_at(value, path).items()) {
        const auto is_it = [&name = output](const TensorSpec& spec) { return spec.name == name; };
        if (std::none_of(outputs.begin(), outputs.end(), is_it)) {
            refuse(path, "outputs of the graph", shown(output));
        }
        const std::string at = path + "." + output;
        Percentiles& found = percentiles[output];
        for (const auto& [name, number] : object_at(named, at).items()) {
            found.emplace(name, number_at(number, at + "." + name));
        }
    }
    return percentiles;
}

Quantiles quantiles_at(const json& value, const std::string& path) {
    Quantiles quantiles{};
    const std::string expected = std::to_string(quantiles.size()) + " numbers in ascending order";
    if (!value.is_array()) refuse(path, expected, shown(value));
    if (value.size() != quantiles.size()) {
        refuse(path, expected, "a list of " + std::to_string(value.size()));
    }
    for (std::size_t i = 0; i < quantiles.size(); ++i) {
        quantiles[i] = number_at(value[i], path + "[" + std::to_string(i) + "]");
        if (i && quantiles[i] < quantiles[i - 1]) {
            refuse(path, expected, shown(value[i]) + " behind " + shown(value[i - 1]));
        }
    }
    return quantiles;
}

std::map<std::string, Quantiles> normal_in(const json& variant, const std::string& path,
                                           const std::map<std::string, Percentiles>& known) {
    std::map<std::string, Quantiles> normal;
    const auto found = variant.find("normal");
    if (found == variant.end()) return normal;
    for (const auto& [output, scores] : object_at(*found, path).items()) {
        if (!known.count(output)) refuse(path, "outputs with percentiles", shown(output));
        const std::string at = path + "." + output;
        normal.emplace(output, quantiles_at(field(scores, at, "quantiles"), at + ".quantiles"));
    }
    return normal;
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
    variant.percentiles =
        percentiles_at(field(value, path, "percentiles"), path + ".percentiles", variant.outputs);
    variant.normal = normal_in(value, path + ".normal", variant.percentiles);
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
    const json& parts = object_at(field(document, "", "parts"), "parts");
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
