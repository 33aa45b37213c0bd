// A bundle of aeonnx: its graphs as functions of arrays, its golden vectors, and what is made of
// them.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "manifest.hpp"
#include "tensor.hpp"

namespace aeonnx {

// An open graph: arrays by name -> arrays by name.
class Part {
public:
    // `data` is the content of the graph's file, its digest checked.
    // Throws Error 1: it is not the graph of the manifest, or holds what a bundle never does.
    Part(const std::string& name, const Variant& variant, const std::vector<std::byte>& data);

    // Any number of rows, and any sizes that the axes allow: in batches where the graph is fixed to
    // a number of rows, in tiles where a row is large.
    // Throws Error 1: an input is missing or has another type or shape, its sizes break a rule of
    // the axes, labels or codes without a range are negative, the graph failed, or it gave another
    // type or shape than the manifest says.
    Tensors run(const Tensors& inputs);

    const Variant variant;

private:
    void require_interface() const;
    std::int64_t rows_at_once(const Sizes& sizes) const;
    Tensors run_rows(const Tensors& inputs, const Sizes& sizes);
    Tensors run_once(const Tensors& inputs, const Sizes& sizes);

    std::string name_;
    std::optional<Ort::Session> session_;  // an empty Session needs the library to end
};

// What became of one golden output, by the worst of all rows of all its sets of golden vectors:
// where error / tolerance is largest.
struct Checked {
    std::string part, variant, output;
    double error;      // largest |output - golden| of the row; NaN if one of them is
    double tolerance;  // of the row
    bool ok() const { return error <= tolerance; }
};

// What `score` says of n rows.
struct Scored {
    std::vector<float> scores;        // the larger, the less a row is like those of the training
    std::vector<double> percentiles;  // the share of normal rows with a lower score, in %; NaN
                                      // where the manifest does not say
    std::vector<bool> odd;            // whether the score is above the threshold
    double threshold = 0;
};

class Bundle {
public:
    // Throws Error 1: there is no bundle in `folder`, or its manifest is damaged or newer.
    explicit Bundle(std::filesystem::path folder);

    // With a manifest that was read already.
    Bundle(std::filesystem::path folder, Manifest manifest);

    // A part, opened at first use: its digest and its interface are those of the manifest.
    // Throws Error 1: there is none, or its file is missing or was changed; Error 4: the library is
    // too old for it.
    Part& part(const std::string& name, const std::string& variant = "fp32");

    bool has(const std::string& part, const std::string& variant) const;
    const Variant& variant(const std::string& part, const std::string& variant) const;

    // Stored arrays, with their digests checked.
    Tensors golden(const std::map<std::string, Stored>& stored) const;

    // A file that the manifest names, with its size and its digest checked.
    std::vector<std::byte> read(const std::string& file, std::uint64_t size,
                                const std::string& sha256) const;

    // All golden inputs through the graph, all rows at once and each alone, beside what torch gave.
    std::vector<Checked> check(const std::string& part, const std::string& variant);

    // Microseconds for the first row of the first golden vectors: the median of calls, after a
    // warm-up.
    double time(const std::string& part, const std::string& variant);

    // Whether its manifest says what `denoise`, `generate` or `score`, the verb, needs.
    // Throws Error 1: it does not.
    void require(const std::string& verb) const;

    // An image without its noise: uint8 [C, H, W] -> uint8 [C, H, W]. Where the graph takes and
    // gives floats, pixels stand for the ranges of the manifest, see pixels.hpp. Where height and
    // width are axes they may be any: the image is padded by reflection, and the result is cropped.
    // A large one runs in tiles.
    // Throws Error 1: as `Part::run`, or the graph gave NaN.
    Tensor denoise(const Tensor& picture);

    // New images, uint8 [count, C, H, W]: image i of a seed is the same in every language. `label`
    // is for a sampler that takes one. `size`, such as {height, width}, is for images that may have
    // any; without it they have that of the first golden vectors.
    // Throws Error 2: the label is missing, out of its range, or one too many; the images cannot
    // have this size.
    Tensor generate(std::int64_t seed, std::int64_t count,
                    std::optional<std::int64_t> label = std::nullopt,
                    const std::optional<Shape>& size = std::nullopt);

    // How unlike the rows of the training each row of `x` is: an array of the scorer's first input.
    // Values outside of the input's range are scored too. `threshold` is the name of a percentile
    // in the manifest, or a number, also as a text. `label`, of all rows, is for a scorer that takes
    // one.
    // Throws Error 1: the values are not finite, a row whose values may be missing has none, or as
    // `Part::run`, or the manifest has no percentiles; Error 2: there is no such threshold, or the
    // label is missing, out of its range, or one too many.
    Scored score(Tensor x, const std::string& threshold = "p99",
                 std::optional<std::int64_t> label = std::nullopt);
    Scored score(Tensor x, double threshold, std::optional<std::int64_t> label = std::nullopt);

    // The variant of the denoiser that `denoise` runs.
    const Variant& denoiser() const;

    const std::filesystem::path folder;
    const Manifest manifest;

private:
    std::map<std::string, Part> parts_;
};

}  // namespace aeonnx
