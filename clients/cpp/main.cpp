// aeonnx check | denoise | generate | run
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <exception>
#include <iostream>
#include <limits>
#include <map>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "bundle.hpp"
#include "engine.hpp"
#include "files.hpp"
#include "needs.hpp"
#include "picture.hpp"
#include "run_files.hpp"
#include "sampling.hpp"

namespace {

using aeonnx::Bundle;
using aeonnx::Error;
using Words = std::vector<std::string>;

constexpr const char* usage =
    "usage: aeonnx check BUNDLE [--time]\n"
    "       aeonnx denoise BUNDLE in.png out.png [--force]\n"
    "       aeonnx generate BUNDLE [--seed S] [-n N] [--label L] [--size HxW] out.png [--force]\n"
    "       aeonnx run BUNDLE PART input=in.npy ... output=out.npy ... [--force]\n"
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

// "64x48" -> {64, 48}: two numbers or more.
aeonnx::Shape size_in(const std::string& text) {
    aeonnx::Shape size;
    const char* at = text.data();
    const char* const end = at + text.size();
    bool good = true, more = true;
    while (good && more) {
        std::int64_t number = 0;
        const auto [stopped, failed] = std::from_chars(at, end, number);
        more = stopped != end;
        good = failed == std::errc() && *at != '-' && (!more || *stopped == 'x');
        at = stopped + more;
        size.push_back(number);
    }
    if (good && size.size() > 1) return size;
    throw Error(2, "--size: expected HEIGHTxWIDTH, such as 64x48, got " + text);
}

void require_no_options(const Words& words) {
    const auto is_option = [](const std::string& word) { return word.rfind("-", 0) == 0; };
    const auto option = std::find_if(words.begin(), words.end(), is_option);
    if (option != words.end()) throw Error(2, "there is no option " + *option);
}

void require(const Words& words, std::size_t count, const char* what) {
    require_no_options(words);
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
    bundle.require("denoise");
    const aeonnx::Frame frame = aeonnx::frame_of(bundle.denoiser());
    aeonnx::require_writable(words[2], force);
    const aeonnx::Tensor clean = bundle.denoise(aeonnx::read_picture(words[1], frame));
    aeonnx::write_file(words[2], aeonnx::picture_png(clean), force);
    return 0;
}

int generate(Words words) {
    const std::string seed = option(words, "--seed"), count = option(words, "-n");
    const std::string label = option(words, "--label"), size = option(words, "--size");
    const bool force = flag(words, "--force");
    require(words, 2, "BUNDLE out.png");
    const std::int64_t key = seed.empty() ? 0 : number("--seed", seed, 0);
    const std::int64_t images = count.empty() ? 64 : number("-n", count, 1);
    const auto of_class = label.empty() ? std::nullopt : std::optional(number("--label", label, 0));
    const auto of_size = size.empty() ? std::nullopt : std::optional(size_in(size));
    Bundle bundle(words[0]);
    bundle.require("generate");
    const aeonnx::Variant& sampler = bundle.variant("sampler", "fp32");
    aeonnx::require_label(sampler, of_class);
    aeonnx::require_grid(sampler, aeonnx::image_sizes(sampler, of_size), images);
    aeonnx::require_writable(words[1], force);
    const aeonnx::Tensor made = bundle.generate(key, images, of_class, of_size);
    aeonnx::write_file(words[1], aeonnx::grid_png(made), force);
    return 0;
}

// NAME=FILE words: the files by the names of tensors.
std::map<std::string, std::string> files_in(const Words& words, std::size_t from) {
    std::map<std::string, std::string> files;
    for (std::size_t i = from; i < words.size(); ++i) {
        const std::size_t end = words[i].find('=');
        if (end == 0 || end == std::string::npos || end + 1 == words[i].size()) {
            throw Error(2, "expected NAME=FILE, got " + words[i]);
        }
        const std::string name = words[i].substr(0, end);
        if (!files.emplace(name, words[i].substr(end + 1)).second) {
            throw Error(2, name + "=FILE is there twice");
        }
    }
    return files;
}

int run_part(Words words) {
    const bool force = flag(words, "--force");
    require_no_options(words);
    if (words.size() < 2) throw Error(2, "expected BUNDLE PART input=in.npy output=out.npy");
    const auto files = files_in(words, 2);
    Bundle bundle(words[0]);
    aeonnx::run_files(bundle, words[1], files, force);
    return 0;
}

int run(Words words) {
    if (words.empty()) throw Error(2, "expected a verb: check, denoise, generate or run");
    const std::string verb = words[0];
    words.erase(words.begin());
    if (verb == "-h" || verb == "--help") {
        std::fputs(usage, stdout);
        return 0;
    }
    if (verb == "check") return check(words);
    if (verb == "denoise") return denoise(words);
    if (verb == "generate") return generate(words);
    if (verb == "run") return run_part(words);
    throw Error(2, "no such verb: " + verb);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(Words(argv + 1, argv + argc));
    } catch (const Error& error) {
        std::cerr << "Error: " << error.what() << "\n" << (error.exit_code == 2 ? usage : "");
        return error.exit_code;
    } catch (const std::bad_alloc&) {
        std::cerr << "Error: there is not enough memory: give fewer or smaller arrays\n";
        return 1;
    } catch (const std::exception& error) {
        std::cerr << "Error: " << aeonnx::printable(error.what()) << "\n";
        return 1;
    }
}
