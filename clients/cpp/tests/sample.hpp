// A sound manifest, to be changed.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "manifest.hpp"

inline nlohmann::json tensor_json(const std::string& name, const std::string& kind,
                                  const nlohmann::json& shape,
                                  const std::string& dtype = "float32") {
    return {{"name", name},   {"kind", kind},    {"shape", shape},
            {"dtype", dtype}, {"range", {0, 1}}, {"names", nlohmann::json::array()}};
}

inline nlohmann::json stored_json(const nlohmann::json& shape, const nlohmann::json& tolerance) {
    return {{"file", "golden/x.bin"},
            {"sha256", std::string(64, 'a')},
            {"dtype", "float32"},
            {"shape", shape},
            {"tolerance", tolerance}};
}

inline nlohmann::json axis_json(std::int64_t multiple, std::int64_t min) {
    return {{"multiple", multiple}, {"min", min}, {"max", nullptr}, {"margin", 3}};
}

// A denoiser x -> y of pictures of any size, with two sets of golden vectors.
inline nlohmann::json sample() {
    const nlohmann::json shape = {"batch", 1, "height", "width"};
    const auto set = [](const nlohmann::json& sizes, const nlohmann::json& tolerance) {
        return nlohmann::json{{"inputs", {{"x", stored_json(sizes, nullptr)}}},
                              {"outputs", {{"y", stored_json(sizes, tolerance)}}}};
    };
    const nlohmann::json variant = {
        {"file", "denoiser.onnx"},
        {"sha256", std::string(64, 'b')},
        {"bytes", 100},
        {"opset", 18},
        {"min_onnxruntime", "1.14"},
        {"inputs", {tensor_json("x", "image", shape)}},
        {"outputs", {tensor_json("y", "image", shape)}},
        {"axes",
         {{"batch", axis_json(1, 1)}, {"height", axis_json(2, 8)}, {"width", axis_json(2, 8)}}},
        {"percentiles", nlohmann::json::object()},
        {"golden", {set({2, 1, 64, 66}, {0.1, 0.2}), set({1, 1, 8, 10}, {0.3})}}};
    return {{"format", "aeonnx-bundle"},
            {"version", 2},
            {"model", "any_size"},
            {"parts", {{"denoiser", {{"fp32", variant}}}}}};
}

inline nlohmann::json& part_of(nlohmann::json& document) {
    return document["parts"]["denoiser"]["fp32"];
}

// The quantiles 0, 2, ... 198, 200, but 100 once more for 102.
inline nlohmann::json quantiles() {
    nlohmann::json list;
    for (int i = 0; i <= 100; ++i) list.push_back(i == 51 ? 100 : 2 * i);
    return list;
}

// The sample as a scorer: x -> y and error, a score of which the manifest knows the normal values.
inline nlohmann::json sample_scorer() {
    nlohmann::json document = sample();
    nlohmann::json& part = part_of(document);
    part["outputs"].push_back(tensor_json("error", "score", {"batch"}));
    part["golden"][0]["outputs"]["error"] = stored_json({2}, {0.1, 0.1});
    part["golden"][1]["outputs"]["error"] = stored_json({1}, {0.1});
    part["percentiles"]["error"] = {{"p99", 198}, {"p95", 190.5}};
    part["normal"]["error"] = {{"rows", 0}, {"quantiles", quantiles()}};
    return document;
}

inline aeonnx::Manifest parsed(const nlohmann::json& document) {
    return aeonnx::parse_manifest(document.dump(), "manifest.json");
}

inline aeonnx::Variant variant_in(const nlohmann::json& document) {
    return parsed(document).parts.at("denoiser").at("fp32");
}
