#include <algorithm>
#include <chrono>
#include <cmath>

#include "bundle.hpp"
#include "needs.hpp"

namespace aeonnx {
namespace {

constexpr std::int64_t at_once = 64;  // images that `generate` asks for in one run

}  // namespace

std::vector<Checked> Bundle::check(const std::string& name, const std::string& variant_name) {
    Part& graph = part(name, variant_name);
    require_golden(name, graph.variant);
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
    require_golden(name, graph.variant);
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

void Bundle::require(const std::string& verb) const {
    if (verb == "denoise") {
        const std::string name = has("denoiser", "fp32-uint8") ? "fp32-uint8" : "fp32";
        const DType image = name == "fp32" ? DType::float32 : DType::uint8;
        require_denoiser(variant("denoiser", name), image, manifest.input_shape);
    } else {
        require_sampler(variant("sampler", "fp32"), manifest.input_shape);
    }
}

std::vector<unsigned char> Bundle::denoise(const std::vector<unsigned char>& pixels) {
    require("denoise");
    const bool as_pixels = has("denoiser", "fp32-uint8");
    Part& graph = part("denoiser", as_pixels ? "fp32-uint8" : "fp32");
    const auto [channels, height, width] = manifest.input_shape;
    Tensor x(as_pixels ? DType::uint8 : DType::float32, {1, channels, height, width});
    if (pixels.size() != count_of(x.shape)) {
        throw Error(1, "expected an image of " + std::to_string(count_of(x.shape)) +
                           " values, got " + std::to_string(pixels.size()));
    }
    const auto from_pixel = [](unsigned char pixel) { return static_cast<float>(pixel) / 255.0f; };
    const auto to_pixel = [&graph](float value) {  // nearbyint: to the nearest, ties to even
        if (std::isnan(value)) throw Error(1, graph.variant.file + " gave NaN, which is no pixel");
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
    if (seed < 0 || count < 1) {
        throw Error(1, "expected a seed from 0 and a count from 1, got " + std::to_string(seed) +
                           " and " + std::to_string(count));
    }
    require("generate");
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
