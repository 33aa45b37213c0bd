// aeonnx check | denoise | generate
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <exception>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

#include "bundle.hpp"
#include "engine.hpp"
#include "files.hpp"
#include "picture.hpp"

namespace {

using aeonnx::Bundle;
using aeonnx::Error;
using Words = std::vector<std::string>;

constexpr const char* usage =
    "usage: aeonnx check BUNDLE [--time]\n"
    "       aeonnx denoise BUNDLE in.png out.png [--force]\n"
    "       aeonnx generate BUNDLE [--seed S] [-n N] out.png [--force]\n"
    "in.png may be PNG, JPEG or BMP; --force replaces a file that is there\n";

std::int64_t number(const std::string& option, const std::string& text, std::int64_t lowest) {
    std::int64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stopped, failed] = std::from_chars(text.data(), end, value);
    if (failed != std::errc() || stopped != end || value < lowest) {
        throw Error(2, option + ": expected a whole number from " + std::to_string(lowest) +
                           " to " + std::to_string(std::numeric_limits<std::int64_t>::max()) +
                           ", got " + text);
    }
    return value;
}

void require(const Words& words, std::size_t count, const char* what) {
    const auto is_option = [](const std::string& word) { return word.rfind("-", 0) == 0; };
    const auto option = std::find_if(words.begin(), words.end(), is_option);
    if (option != words.end()) throw Error(2, "there is no option " + *option);
    if (words.size() != count) throw Error(2, std::string("expected ") + what);
}

// The word after an option; both are taken out. Empty if it is not there.
std::string option(Words& words, const std::string& name) {
    const auto found = std::find(words.begin(), words.end(), name);
    if (found == words.end()) return "";
    if (found + 1 == words.end()) throw Error(2, name + ": expected a value");
    const std::string value = *(found + 1);
    words.erase(found, found + 2);
    if (std::count(words.begin(), words.end(), name)) throw Error(2, name + " is there twice");
    return value;
}

// Whether a word is there; it is taken out.
bool flag(Words& words, const std::string& name) {
    const auto rest = std::remove(words.begin(), words.end(), name);
    const bool found = rest != words.end();
    words.erase(rest, words.end());
    return found;
}

int check(Words words) {
    const bool timed = flag(words, "--time");
    require(words, 1, "BUNDLE");
    Bundle bundle(words[0]);
    std::size_t outputs = 0;
    bool good = true;
    for (const auto& [part, variants] : bundle.manifest.parts) {
        for (const auto& item : variants) {
            for (const aeonnx::Checked& found : bundle.check(part, item.first)) {
                std::printf("%s %s %s %s: max error %.3g, tolerance %.3g\n",
                            found.ok() ? "ok" : "WRONG", part.c_str(), item.first.c_str(),
                            found.output.c_str(), found.error, found.tolerance);
                good = good && found.ok();
                ++outputs;
            }
            if (timed) {
                std::printf("time %s %s: %.1f us for one row\n", part.c_str(), item.first.c_str(),
                            bundle.time(part, item.first));
            }
        }
    }
    std::printf("checked %zu outputs of %zu parts with onnxruntime %s\n", outputs,
                bundle.manifest.parts.size(), aeonnx::engine_version().c_str());
    return good ? 0 : 3;
}

int denoise(Words words) {
    const bool force = flag(words, "--force");
    require(words, 3, "BUNDLE in.png out.png");
    Bundle bundle(words[0]);
    const auto shape = bundle.manifest.input_shape;
    bundle.require("denoise");
    aeonnx::require_pictures("denoiser", "denoise", shape, 1);
    aeonnx::require_writable(words[2], force);
    const auto pixels = aeonnx::read_picture(words[1], shape);
    aeonnx::write_file(words[2], aeonnx::grid_png(bundle.denoise(pixels), shape), force);
    return 0;
}

int generate(Words words) {
    const std::string seed = option(words, "--seed"), count = option(words, "-n");
    const bool force = flag(words, "--force");
    require(words, 2, "BUNDLE out.png");
    const std::int64_t key = seed.empty() ? 0 : number("--seed", seed, 0);
    const std::int64_t images = count.empty() ? 64 : number("-n", count, 1);
    Bundle bundle(words[0]);
    const auto shape = bundle.manifest.input_shape;
    bundle.require("generate");
    aeonnx::require_pictures("sampler", "generate", shape, images);
    aeonnx::require_writable(words[1], force);
    aeonnx::write_file(words[1], aeonnx::grid_png(bundle.generate(key, images), shape), force);
    return 0;
}

int run(Words words) {
    if (words.empty()) throw Error(2, "expected a verb: check, denoise or generate");
    const std::string verb = words[0];
    words.erase(words.begin());
    if (verb == "-h" || verb == "--help") {
        std::fputs(usage, stdout);
        return 0;
    }
    if (verb == "check") return check(words);
    if (verb == "denoise") return denoise(words);
    if (verb == "generate") return generate(words);
    throw Error(2, "no such verb: " + verb);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(Words(argv + 1, argv + argc));
    } catch (const Error& error) {
        std::cerr << "Error: " << error.what() << "\n" << (error.exit_code == 2 ? usage : "");
        return error.exit_code;
    } catch (const std::exception& error) {  // such as no memory for so many images
        std::cerr << "Error: " << aeonnx::printable(error.what()) << "\n";
        return 1;
    }
}
