// aeonnx check | denoise | generate | score | run
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <exception>
#include <iostream>
#include <limits>
#include <new>
#include <optional>
#include <string>

#include "bundle.hpp"
#include "engine.hpp"
#include "files.hpp"
#include "needs.hpp"
#include "picture.hpp"
#include "run_files.hpp"
#include "sampling.hpp"
#include "score_files.hpp"
#include "scoring.hpp"
#include "words.hpp"

namespace {

using aeonnx::Bundle;
using aeonnx::Error;
using aeonnx::Words;

constexpr const char* usage =
    "usage: aeonnx check BUNDLE [--time]\n"
    "       aeonnx denoise BUNDLE in.png out.png [--force]\n"
    "       aeonnx generate BUNDLE [--seed S] [-n N] [--label L] [--size HxW] out.png [--force]\n"
    "       aeonnx score BUNDLE FILE... [--threshold p99] [--label L] [-o scores.csv] [--force]\n"
    "       aeonnx run BUNDLE PART input=in.npy ... output=out.npy ... [--force]\n"
    "in.png may be PNG, JPEG or BMP, and so may FILE, which may also be a .npy file of rows;\n"
    "--threshold is p99, p95 or a number; --force replaces a file that is there\n";

int check(Words words) {
    const bool timed = aeonnx::flag(words, "--time");
    aeonnx::require_words(words, 1, "BUNDLE");
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
    const bool force = aeonnx::flag(words, "--force");
    aeonnx::require_words(words, 3, "BUNDLE in.png out.png");
    Bundle bundle(words[0]);
    bundle.require("denoise");
    const aeonnx::Frame frame = aeonnx::frame_of("denoiser", "denoise", bundle.denoiser());
    aeonnx::require_writable(words[2], force);
    const aeonnx::Tensor clean = bundle.denoise(aeonnx::read_picture(words[1], frame));
    aeonnx::write_file(words[2], aeonnx::picture_png(clean), force);
    return 0;
}

// Which are allowed is for the manifest to say.
std::optional<std::int64_t> label_option(Words& words) {
    return aeonnx::number_option(words, "--label", std::numeric_limits<std::int64_t>::min());
}

int generate(Words words) {
    const std::int64_t seed = aeonnx::number_option(words, "--seed", 0).value_or(0);
    const std::int64_t images = aeonnx::number_option(words, "-n", 1).value_or(64);
    const auto label = label_option(words);
    const auto size = aeonnx::size_option(words, "--size");
    const bool force = aeonnx::flag(words, "--force");
    aeonnx::require_words(words, 2, "BUNDLE out.png");
    Bundle bundle(words[0]);
    bundle.require("generate");
    const aeonnx::Variant& sampler = bundle.variant("sampler", "fp32");
    aeonnx::require_label("sampler", sampler, label);
    aeonnx::require_grid(sampler, aeonnx::image_sizes(sampler, size), images);
    aeonnx::require_writable(words[1], force);
    const aeonnx::Tensor made = bundle.generate(seed, images, label, size);
    aeonnx::write_file(words[1], aeonnx::grid_png(made), force);
    return 0;
}

// Throws Error 1: it failed, as on a full disk.
void print(const std::string& text) {
    std::cout << text << std::flush;
    if (!std::cout) throw Error(1, "cannot write to stdout");
}

void require_table(const std::string& path) {
    std::string end = path.substr(path.size() - std::min<std::size_t>(path.size(), 4));
    for (char& c : end) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (end != ".csv") throw Error(2, path + ": expected a name that ends in .csv");
}

int score(Words words) {
    const std::string threshold = aeonnx::option(words, "--threshold").value_or("p99");
    const auto label = label_option(words);
    const auto target = aeonnx::option(words, "-o");
    const bool force = aeonnx::flag(words, "--force");
    aeonnx::require_no_options(words);
    if (words.size() < 2) throw Error(2, "expected BUNDLE FILE...");
    if (target) require_table(*target);
    Bundle bundle(words[0]);
    bundle.require("score");
    const aeonnx::Variant& scorer = bundle.variant("scorer", "fp32");
    const double limit = aeonnx::threshold_of(scorer, threshold);
    aeonnx::require_label("scorer", scorer, label);
    if (target) aeonnx::require_writable(*target, force);
    words.erase(words.begin());
    const aeonnx::Table table = aeonnx::score_files(bundle, words, limit, label);
    if (target) {
        aeonnx::write_file(*target, aeonnx::csv_of(table), force);
    } else {
        print(aeonnx::printable_csv_of(table));
    }
    return 0;
}

int run_part(Words words) {
    const bool force = aeonnx::flag(words, "--force");
    aeonnx::require_no_options(words);
    if (words.size() < 2) throw Error(2, "expected BUNDLE PART input=in.npy output=out.npy");
    const auto files = aeonnx::files_in(words, 2);
    Bundle bundle(words[0]);
    aeonnx::run_files(bundle, words[1], files, force);
    return 0;
}

int run(Words words) {
    if (words.empty()) throw Error(2, "expected a verb: check, denoise, generate, score or run");
    const std::string verb = words[0];
    words.erase(words.begin());
    if (verb == "-h" || verb == "--help") {
        std::fputs(usage, stdout);
        return 0;
    }
    if (verb == "check") return check(words);
    if (verb == "denoise") return denoise(words);
    if (verb == "generate") return generate(words);
    if (verb == "score") return score(words);
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
