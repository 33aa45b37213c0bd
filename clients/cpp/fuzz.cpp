// Damaged bundles: each must end in a line, whatever is wrong with it.
//
//     fuzz FOLDER            FOLDER/manifests/*.json, each as the manifest of FOLDER/bundle
//     fuzz --bundles FOLDER  every FOLDER/*/: check, denoise FOLDER/in.png, generate, score
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <new>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "bundle.hpp"
#include "needs.hpp"
#include "picture.hpp"
#include "sampling.hpp"

#ifdef __SANITIZE_ADDRESS__
// The sanitizer ends a process that asks for more than there is. Without it, the engine is told, by
// an exception, and says so; it takes the memory of its tensors from these.
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }

void* operator new(std::size_t size, std::align_val_t alignment) {
    constexpr std::size_t most = std::size_t{1} << 36;
    void* memory = nullptr;
    if (size > most || posix_memalign(&memory, static_cast<std::size_t>(alignment), size)) {
        throw std::bad_alloc();
    }
    return memory;
}

void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
#endif

namespace fs = std::filesystem;

namespace {

// Every file that a manifest names, without the graphs being opened.
std::string read_all(const fs::path& manifest, const fs::path& folder) {
    std::ostringstream text;
    text << std::ifstream(manifest, std::ios::binary).rdbuf();
    aeonnx::Bundle bundle(folder, aeonnx::parse_manifest(text.str(), "manifest.json"));
    for (const auto& [part, variants] : bundle.manifest.parts) {
        for (const auto& [name, variant] : variants) {
            bundle.read(variant.file, static_cast<std::uint64_t>(variant.bytes), variant.sha256);
            for (const aeonnx::Golden& set : variant.golden) {
                bundle.golden(set.inputs);
                bundle.golden(set.outputs);
            }
        }
    }
    return "accepted";
}

std::optional<std::int64_t> label_of(const aeonnx::Variant& variant) {
    return aeonnx::of_kind(variant, aeonnx::Kind::label) ? std::optional(0) : std::nullopt;
}

// All that the program's verbs do, but for the files that they write.
std::string use_all(const fs::path& folder, const fs::path& picture) {
    aeonnx::Bundle bundle(folder);
    bool good = true;
    for (const auto& [part, variants] : bundle.manifest.parts) {
        for (const auto& item : variants) {
            const auto outputs = bundle.check(part, item.first);
            good = good && std::all_of(outputs.begin(), outputs.end(),
                                       [](const auto& output) { return output.ok(); });
        }
    }
    if (bundle.manifest.parts.count("denoiser")) {
        bundle.require("denoise");
        const aeonnx::Frame frame = aeonnx::frame_of("denoiser", "denoise", bundle.denoiser());
        aeonnx::picture_png(bundle.denoise(aeonnx::read_picture(picture, frame)));
    }
    if (bundle.manifest.parts.count("sampler")) {
        bundle.require("generate");
        const aeonnx::Variant& sampler = bundle.variant("sampler", "fp32");
        aeonnx::require_grid(sampler, aeonnx::image_sizes(sampler, std::nullopt), 3);
        aeonnx::grid_png(bundle.generate(0, 3, label_of(sampler)));
    }
    if (bundle.manifest.parts.count("scorer")) {
        bundle.require("score");
        const aeonnx::Variant& scorer = bundle.variant("scorer", "fp32");
        const aeonnx::Tensors golden = bundle.golden(scorer.golden.front().inputs);
        const aeonnx::Tensor& rows = golden.at(scorer.inputs.front().name);
        bundle.score(rows, 0.0, label_of(scorer));
    }
    return good ? "ok" : "wrong";
}

template <typename Use>
void each(std::vector<fs::path> paths, const Use& use) {
    std::sort(paths.begin(), paths.end());
    for (const fs::path& path : paths) {
        std::cout << aeonnx::printable(path.stem().string()) << " " << std::flush;
        try {
            std::cout << use(path) << std::endl;
        } catch (const aeonnx::Error& error) {
            std::cout << "refused: " << error.what() << std::endl;
        } catch (const std::bad_alloc&) {
            std::cout << "refused: there is no memory for it" << std::endl;
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    const bool bundles = words.size() == 2 && words[0] == "--bundles";
    if (!bundles && words.size() != 1) {
        std::cerr << "usage: fuzz [--bundles] FOLDER\n";
        return 2;
    }
    const fs::path folder = words.back();
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(bundles ? folder : folder / "manifests")) {
        if (!bundles || entry.is_directory()) paths.push_back(entry);
    }
    if (bundles) {
        each(paths, [&](const fs::path& path) { return use_all(path, folder / "in.png"); });
    } else {
        each(paths, [&](const fs::path& path) { return read_all(path, folder / "bundle"); });
    }
}
