#include "bundle.hpp"

#include <openssl/evp.h>

#include <tuple>
#include <utility>

#include "engine.hpp"
#include "files.hpp"

namespace aeonnx {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t largest_manifest = 16 << 20, largest_file = std::uint64_t{2} << 30;

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
    const auto text = read_file(path, at_most(path, largest_manifest));
    if (!text) {
        std::error_code failed;
        const char* what =
            fs::is_directory(folder, failed) ? "it has no manifest.json" : "it is not a folder";
        throw Error(1, "no bundle at " + folder.string() + ": " + what +
                           ". Make one with: aeonnx export --model MODEL -o " + folder.string());
    }
    return parse_manifest({reinterpret_cast<const char*>(text->data()), text->size()},
                          path.string());
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

std::vector<std::byte> Bundle::read(const std::string& file, std::uint64_t size,
                                    const std::string& sha256) const {
    const fs::path path = folder / file;
    const auto refuse = [&path](const std::string& expected, const std::string& got) {
        return Error(1, path.string() + " is not the file that the manifest names: expected " +
                            expected + ", got " + got + ". Export the bundle again.");
    };
    auto data = read_file(path, [&](std::uint64_t found) {
        if (found != size) throw refuse(std::to_string(size) + " bytes", std::to_string(found));
        at_most(path, largest_file)(found);
    });
    if (!data) {
        throw Error(1, path.string() +
                           " is missing, though the manifest names it: export the bundle again");
    }
    const std::string found = sha256_of(*data);
    if (found != sha256) throw refuse("sha256 " + sha256, found);
    return std::move(*data);
}

Tensors Bundle::golden(const std::map<std::string, Stored>& stored) const {
    Tensors tensors;
    for (const auto& [name, item] : stored) {
        Tensor tensor;
        tensor.dtype = item.dtype;
        tensor.shape = item.shape;
        const std::size_t size = count_of(item.shape) * width_of(item.dtype);
        tensor.bytes = read(item.file, size, item.sha256);  // little-endian, as its machines
        tensors.emplace(name, std::move(tensor));
    }
    return tensors;
}

Part& Bundle::part(const std::string& name, const std::string& variant_name) {
    const std::string key = name + " " + variant_name;
    const auto found = parts_.find(key);
    if (found != parts_.end()) return found->second;
    const Variant& wanted = variant(name, variant_name);
    const std::vector<std::byte> data =
        read(wanted.file, static_cast<std::uint64_t>(wanted.bytes), wanted.sha256);
    const std::string version = engine_version();
    const auto lowest = release_of(wanted.min_onnxruntime);
    if (!lowest) {
        throw Error(1, wanted.file + ": expected min_onnxruntime such as 1.21, got \"" +
                           wanted.min_onnxruntime + "\"");
    }
    if (release_of(version) < lowest) {
        throw Error(4, wanted.file + " needs onnxruntime " + wanted.min_onnxruntime +
                           " or newer (opset " + std::to_string(wanted.opset) + "), this is " +
                           version + ": put a newer library beside the program");
    }
    return parts_
        .emplace(std::piecewise_construct, std::forward_as_tuple(key),
                 std::forward_as_tuple(name, wanted, data))
        .first->second;
}

}  // namespace aeonnx
