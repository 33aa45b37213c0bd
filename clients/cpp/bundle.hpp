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

    // Any number of rows; a graph that is fixed to so many at once gets them in turns.
    // Throws Error 1: an input is missing or has another type or shape, the graph failed, or it
    // gave another type or shape than the manifest says.
    Tensors run(const Tensors& inputs);

    // The rows that the graph is fixed to; `batch` if it takes any number.
    std::int64_t fixed_rows() const;

    const Variant variant;

private:
    void require_interface() const;
    std::int64_t rows_in(const Tensors& inputs) const;
    Tensors run_once(const Tensors& inputs, std::int64_t rows);

    std::string name_;
    std::optional<Ort::Session> session_;  // an empty Session needs the library to end
};

// What became of one golden output, by the worst of its rows: where error / tolerance is largest.
struct Checked {
    std::string part, variant, output;
    double error;      // largest |output - golden| of the row; NaN if one of them is
    double tolerance;  // of the row
    bool ok() const { return error <= tolerance; }
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

    // Golden inputs through the graph, all rows at once and each alone, beside what torch gave.
    std::vector<Checked> check(const std::string& part, const std::string& variant);

    // Microseconds for the first golden row: the median of calls, after a warm-up.
    double time(const std::string& part, const std::string& variant);

    // Whether its manifest says what `denoise` or `generate`, the verb, needs.
    // Throws Error 1: it does not.
    void require(const std::string& verb) const;

    // An image without its noise: uint8 [C, H, W] -> uint8 [C, H, W]. Where the graph takes and
    // gives floats, pixels stand for the ranges of the manifest, see pixels.hpp.
    std::vector<unsigned char> denoise(const std::vector<unsigned char>& pixels);

    // New images, uint8 [count, C, H, W]: image i of a seed is the same in every language.
    std::vector<unsigned char> generate(std::int64_t seed, std::int64_t count);

    const std::filesystem::path folder;
    const Manifest manifest;

private:
    std::map<std::string, Part> parts_;
};

}  // namespace aeonnx
