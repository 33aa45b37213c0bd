#include "bundle.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>
#include <tuple>

#include "engine.hpp"

namespace aeonnx {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t at_once = 64;  // images that `generate` asks for in one run

std::vector<std::byte> content_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (!fs::is_regular_file(path) || !file || !(text << file.rdbuf())) {
        throw Error(1, "cannot read " + path.string());
    }
    const std::string data = text.str();
    std::vector<std::byte> bytes(data.size());
    std::memcpy(bytes.data(), data.data(), data.size());
    return bytes;
}

std::string sha256_of(const std::vector<std::byte>& data) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    if (EVP_Digest(data.data(), data.size(), digest, &length, EVP_sha256(), nullptr) != 1) {
        throw Error(4, "libcrypto has no SHA-256");
    }
    std::string hex;
    for (unsigned int i = 0; i < length; ++i) {
        hex += "0123456789abcdef"[digest[i] / 16];
        hex += "0123456789abcdef"[digest[i] % 16];
    }
    return hex;
}

Manifest manifest_in(const fs::path& folder) {
    const fs::path path = folder / "manifest.json";
    if (!fs::exists(path)) {
        const char* what =
            fs::is_directory(folder) ? "it has no manifest.json" : "it is not a folder";
        throw Error(1, "no bundle at " + folder.string() + ": " + what +
                           ". Make one with: aeonnx export --model vae -o " + folder.string());
    }
    const std::vector<std::byte> text = content_of(path);
    return parse_manifest({reinterpret_cast<const char*>(text.data()), text.size()}, path.string());
}

// "1.31" -> (1, 31)
std::tuple<int, int> release(const std::string& version) {
    int major = 0, minor = 0;
    char dot = 0;
    std::istringstream(version) >> major >> dot >> minor;
    return {major, minor};
}

}  // namespace

Bundle::Bundle(fs::path path) : folder(std::move(path)), manifest(manifest_in(folder)) {}

Bundle::Bundle(fs::path path, Manifest read) : folder(std::move(path)), manifest(std::move(read)) {}

bool Bundle::has(const std::string& part, const std::string& variant) const {
    const auto found = manifest.parts.find(part);
    return found != manifest.parts.end() && found->second.count(variant) > 0;
}

const Variant& Bundle::variant(const std::string& part, const std::string& variant) const {
    if (has(part, variant)) return manifest.parts.at(part).at(variant);
    const auto found = manifest.parts.find(part);
    std::string names;
    if (found == manifest.parts.end()) {
        for (const auto& item : manifest.parts) names += (names.empty() ? "" : ", ") + item.first;
        throw Error(1, "this bundle has no part \"" + part + "\", it has: " + names +
                           ". Export it with: aeonnx export --model " + manifest.model +
                           " --part " + part);
    }
    for (const auto& item : found->second) names += (names.empty() ? "" : ", ") + item.first;
    throw Error(1, "part \"" + part + "\" has no variant \"" + variant + "\", it has: " + names);
}

std::vector<std::byte> Bundle::read(const std::string& file, const std::string& sha256) const {
    const fs::path path = folder / file;
    if (!fs::exists(path)) {
        throw Error(1, path.string() +
                           " is missing, though the manifest names it: export the bundle again");
    }
    std::vector<std::byte> data = content_of(path);
    const std::string found = sha256_of(data);
    if (found != sha256) {
        throw Error(1, path.string() +
                           " is not the file that the manifest names: expected sha256 " + sha256 +
                           ", got " + found + ". Export the bundle again.");
    }
    return data;
}

Tensors Bundle::golden(const std::map<std::string, Stored>& stored) const {
    Tensors tensors;
    for (const auto& [name, item] : stored) {
        Tensor tensor;
        tensor.dtype = item.dtype;
        tensor.shape = item.shape;
        tensor.bytes = read(item.file, item.sha256);  // little-endian, as the machines it runs on
        const std::size_t expected = count_of(item.shape) * width_of(item.dtype);
        if (tensor.bytes.size() != expected) {
            throw Error(1, (folder / item.file).string() + ": " +
                               describe({name, item.dtype, item.shape}) + " is " +
                               std::to_string(expected) + " bytes, got " +
                               std::to_string(tensor.bytes.size()));
        }
        tensors.emplace(name, std::move(tensor));
    }
    return tensors;
}

Part& Bundle::part(const std::string& name, const std::string& variant_name) {
    const std::string key = name + " " + variant_name;
    const auto found = parts_.find(key);
    if (found != parts_.end()) return found->second;
    const Variant& wanted = variant(name, variant_name);
    const std::vector<std::byte> data = read(wanted.file, wanted.sha256);
    const std::string version = engine_version();
    if (release(version) < release(wanted.min_onnxruntime)) {
        throw Error(4, wanted.file + " needs onnxruntime " + wanted.min_onnxruntime +
                           " or newer (opset " + std::to_string(wanted.opset) + "), this is " +
                           version + ": put a newer library beside the program");
    }
    return parts_
        .emplace(std::piecewise_construct, std::forward_as_tuple(key),
                 std::forward_as_tuple(name, wanted, data))
        .first->second;
}

std::vector<Checked> Bundle::check(const std::string& name, const std::string& variant_name) {
    Part& graph = part(name, variant_name);
    const Tensors inputs = golden(graph.variant.golden_inputs);
    const Tensors expected = golden(graph.variant.golden_outputs);
    std::vector<Checked> outputs;
    for (const auto& [output, stored] : graph.variant.golden_outputs) {
        outputs.push_back({name, variant_name, output, 0, stored.tolerance});
    }
    const auto compare = [&](const Tensors& taken, std::int64_t first) {
        const Tensors found = graph.run(taken);
        for (Checked& checked : outputs) {
            const double error =
                difference(found.at(checked.output), expected.at(checked.output), first);
            if (!std::isnan(checked.error) && !(error <= checked.error)) checked.error = error;
        }
    };
    compare(inputs, 0);
    if (graph.fixed_rows() != batch) return outputs;
    const std::int64_t rows = expected.begin()->second.shape[0];
    for (std::int64_t row = 0; row < rows; ++row) {
        compare(rows_of(graph.variant, inputs, row, 1), row);
    }
    return outputs;
}

double Bundle::time(const std::string& name, const std::string& variant_name) {
    using clock = std::chrono::steady_clock;
    Part& graph = part(name, variant_name);
    const Tensors inputs = golden(graph.variant.golden_inputs);
    const std::int64_t rows = std::max<std::int64_t>(graph.fixed_rows(), 1);
    const Tensors row = rows_of(graph.variant, inputs, 0, rows);
    std::vector<double> taken(300);
    for (double& spent : taken) {
        const auto started = clock::now();
        graph.run(row);
        spent = std::chrono::duration<double, std::micro>(clock::now() - started).count();
    }
    taken.erase(taken.begin(), taken.begin() + 50);  // the warm-up
    std::nth_element(taken.begin(), taken.begin() + 125, taken.end());
    return taken[125];
}

std::vector<unsigned char> Bundle::denoise(const std::vector<unsigned char>& pixels) {
    const bool as_pixels = has("denoiser", "fp32-uint8");
    Part& graph = part("denoiser", as_pixels ? "fp32-uint8" : "fp32");
    const auto [channels, height, width] = manifest.input_shape;
    Tensor x(as_pixels ? DType::uint8 : DType::float32, {1, channels, height, width});
    if (pixels.size() != count_of(x.shape)) {
        throw Error(1, "expected an image of " + std::to_string(count_of(x.shape)) +
                           " values, got " + std::to_string(pixels.size()));
    }
    const auto from_pixel = [](unsigned char pixel) { return static_cast<float>(pixel) / 255.0f; };
    const auto to_pixel = [](float value) {  // nearbyint: to the nearest, ties to even
        return static_cast<unsigned char>(std::nearbyint(std::clamp(value, 0.0f, 1.0f) * 255.0f));
    };
    if (as_pixels) {
        std::copy(pixels.begin(), pixels.end(), x.values<unsigned char>());
    } else {
        std::transform(pixels.begin(), pixels.end(), x.values<float>(), from_pixel);
    }
    const std::string output = graph.variant.outputs.front().name;
    const Tensor clean = graph.run({{graph.variant.inputs.front().name, x}}).at(output);
    std::vector<unsigned char> answer(pixels.size());
    if (as_pixels) {
        std::copy_n(clean.values<unsigned char>(), answer.size(), answer.begin());
    } else {
        std::transform(clean.values<float>(), clean.values<float>() + answer.size(), answer.begin(),
                       to_pixel);
    }
    return answer;
}

std::vector<unsigned char> Bundle::generate(std::int64_t seed, std::int64_t count) {
    Part& graph = part("sampler");
    Tensor seeds(DType::int64, {1});
    *seeds.values<std::int64_t>() = seed;
    std::vector<unsigned char> images;
    for (std::int64_t first = 0; first < count; first += at_once) {
        Tensor index(DType::int64, {std::min(at_once, count - first)});
        for (std::int64_t i = 0; i < index.shape[0]; ++i)
            index.values<std::int64_t>()[i] = first + i;
        const Tensor image = graph.run({{"seed", seeds}, {"index", index}}).at("image");
        const unsigned char* pixels = image.values<unsigned char>();
        images.insert(images.end(), pixels, pixels + image.bytes.size());
    }
    return images;
}

}  // namespace aeonnx
