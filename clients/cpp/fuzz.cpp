// Reads every FOLDER/manifests/*.json as if it were the manifest of FOLDER/bundle.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <vector>

#include "bundle.hpp"

namespace fs = std::filesystem;

namespace {

// Every file that a manifest names, without the graphs being opened.
void read_all(const fs::path& folder, const std::string& text) {
    aeonnx::Bundle bundle(folder, aeonnx::parse_manifest(text, "manifest.json"));
    for (const auto& [part, variants] : bundle.manifest.parts) {
        for (const auto& [name, variant] : variants) {
            bundle.read(variant.file, variant.sha256);
            bundle.golden(variant.golden_inputs);
            bundle.golden(variant.golden_outputs);
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    const fs::path folder = argv[1];
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(folder / "manifests")) paths.push_back(entry);
    std::sort(paths.begin(), paths.end());
    for (const fs::path& path : paths) {
        std::ostringstream text;
        text << std::ifstream(path, std::ios::binary).rdbuf();
        std::cout << path.stem().string();
        try {
            read_all(folder / "bundle", text.str());
            std::cout << " accepted\n";
        } catch (const aeonnx::Error& error) {
            std::cout << " refused: " << error.what() << "\n";
        }
    }
}
