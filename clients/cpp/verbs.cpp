#include <algorithm>
#include <chrono>
#include <cmath>

#include "bundle.hpp"
#include "needs.hpp"
#include "pixels.hpp"

namespace aeonnx {
namespace {

constexpr std::int64_t at_once = 64;  // images that `generate` asks for in one run

// Whether a row was further off than another: by its own tolerance, and NaN before all others.
bool worse(const Checked& row, const Checked& other) {
    return !std::isnan(other.error) &&
           !(row.error / row.tolerance <= other.error / other.tolerance);
}

}  // namespace

std::vector<Checked> Bundle::check(const std::string& name, const std::string& variant_name) {
    Part& graph = part(name, variant_name);
    require_golden(name, graph.variant);
    const Tensors inputs = golden(graph.variant.golden_inputs);
    const Tensors expected = golden(graph.variant.golden_outputs);
    std::vector<Checked> outputs;
    for (const auto& [output, stored] : graph.variant.golden_outputs) {
        outputs.push_back({name, variant_name, output, 0, stored.tolerance.front()});
    }
    const auto compare = [&](const Tensors& taken, std::int64_t first) {
        const Tensors found = graph.run(taken);
        for (Checked& checked : outputs) {
            const Stored& stored = graph.variant.golden_outputs.at(checked.output);
            auto tolerance = stored.tolerance.begin() + first;
            for (const double error :
                 differences(found.at(checked.output), expected.at(checked.output), first)) {
                const Checked row{name, variant_name, checked.output, error, *tolerance++};
                if (worse(row, checked)) checked = row;
            }
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
    const TensorSpec &input = graph.variant.inputs.front(), &output = graph.variant.outputs.front();
    if (as_pixels) {
        std::copy(pixels.begin(), pixels.end(), x.values<unsigned char>());
    } else {
        from_pixels(pixels.data(), pixels.size(), *input.range, x.values<float>());
    }
    const Tensor clean = graph.run({{input.name, x}}).at(output.name);
    std::vector<unsigned char> answer(pixels.size());
    if (as_pixels) {
        std::copy_n(clean.values<unsigned char>(), answer.size(), answer.begin());
        return answer;
    }
    const float* values = clean.values<float>();
    if (std::any_of(values, values + answer.size(), [](float value) { return std::isnan(value); })) {
        throw Error(1, graph.variant.file + " gave NaN, which is no pixel");
    }
    to_pixels(values, answer.size(), *output.range, answer.data());
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
