#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>

#include "bundle.hpp"
#include "inputs.hpp"
#include "needs.hpp"
#include "pixels.hpp"
#include "sampling.hpp"
#include "tiles.hpp"

namespace aeonnx {
namespace {

constexpr std::int64_t most_pixels = 178956970;  // of a padded picture: as of one that is read

// Whether a row was further off than another: by its own tolerance, and NaN before all others.
bool worse(const Checked& row, const Checked& other) {
    return !std::isnan(other.error) &&
           !(row.error / row.tolerance <= other.error / other.tolerance);
}

// The sizes of the axes for a picture: the smallest that are allowed and not below its own.
Sizes padded(const Variant& variant, const Shape& picture) {
    const TensorSpec& input = variant.inputs.front();
    Sizes sizes;
    for (std::size_t i = 1; i < picture.size(); ++i) {
        const Extent& size = input.shape[i];
        if (size.axis.empty()) continue;
        const std::int64_t least =
            product((picture[i] + size.factor - 1) / size.factor, size.divisor);
        std::int64_t& found = sizes[size.axis];
        found = std::max(found, rounded_up(variant.axes.at(size.axis), least));
    }
    for (const auto& [name, size] : sizes) {
        const Axis& axis = variant.axes.at(name);
        if (axis.allows(size)) continue;
        throw Error(1, "denoiser: " + input.name + ": " + name + ": expected a size of at most " +
                           std::to_string(axis.max.value_or(largest_size)) + ", got " +
                           std::to_string(size) + ": make the picture smaller first");
    }
    sizes[batch] = 1;
    const Shape whole = shape_at(input.shape, sizes);
    if (product(whole[2], whole[3]) > most_pixels) {
        throw Error(1, "this bundle's denoiser cannot denoise: expected pictures of at most " +
                           std::to_string(most_pixels) + " pixels, got " +
                           describe(DType::uint8, whole) + " after padding");
    }
    return sizes;
}

// What the denoiser gives, as pixels.
Tensor as_pixels(Tensor clean, const TensorSpec& output) {
    if (output.dtype == DType::uint8) return clean;
    Tensor pixels(DType::uint8, clean.shape);
    const float* values = clean.values<float>();
    const auto is_nan = [](float value) { return std::isnan(value); };
    if (std::any_of(values, values + pixels.bytes.size(), is_nan)) {
        throw Error(1, "denoiser gave NaN, which is no pixel");
    }
    to_pixels(values, pixels.bytes.size(), *output.range, pixels.values<unsigned char>());
    return pixels;
}

// Golden rows through a graph, beside what torch gave: all at once, and each alone.
class Comparison {
public:
    Comparison(const Bundle& bundle, Part& graph, const Golden& golden)
        : graph_(graph),
          golden_(golden),
          inputs_(bundle.golden(golden.inputs)),
          expected_(bundle.golden(golden.outputs)) {}

    void add_to(std::vector<Checked>& outputs) {
        compare(inputs_, 0, outputs);
        if (graph_.variant.fixed_rows()) return;
        const std::int64_t rows = expected_.begin()->second.shape[0];
        for (std::int64_t row = 0; row < rows; ++row) {
            compare(rows_of(graph_.variant, inputs_, row, 1), row, outputs);
        }
    }

private:
    void compare(const Tensors& taken, std::int64_t first, std::vector<Checked>& outputs) {
        const Tensors found = graph_.run(taken);
        for (Checked& checked : outputs) {
            auto tolerance = golden_.outputs.at(checked.output).tolerance.begin() + first;
            for (const double error :
                 differences(found.at(checked.output), expected_.at(checked.output), first)) {
                const Checked row{checked.part, checked.variant, checked.output, error,
                                  *tolerance++};
                if (worse(row, checked)) checked = row;
            }
        }
    }

    Part& graph_;
    const Golden& golden_;
    const Tensors inputs_, expected_;
};

}  // namespace

std::vector<Checked> Bundle::check(const std::string& name, const std::string& variant_name) {
    Part& graph = part(name, variant_name);
    std::vector<Checked> outputs;
    for (const auto& [output, stored] : graph.variant.golden.front().outputs) {
        outputs.push_back({name, variant_name, output, 0, stored.tolerance.front()});
    }
    for (const Golden& set : graph.variant.golden) Comparison(*this, graph, set).add_to(outputs);
    return outputs;
}

double Bundle::time(const std::string& name, const std::string& variant_name) {
    using clock = std::chrono::steady_clock;
    Part& graph = part(name, variant_name);
    const Tensors inputs = golden(graph.variant.golden.front().inputs);
    const Tensors row = rows_of(graph.variant, inputs, 0, graph.variant.fixed_rows().value_or(1));
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

const Variant& Bundle::denoiser() const {
    return variant("denoiser", has("denoiser", "fp32-uint8") ? "fp32-uint8" : "fp32");
}

void Bundle::require(const std::string& verb) const {
    if (verb == "denoise") {
        const bool takes_pixels = has("denoiser", "fp32-uint8");
        require_denoiser(denoiser(), takes_pixels ? DType::uint8 : DType::float32);
    } else if (verb == "generate") {
        require_sampler(variant("sampler", "fp32"));
    } else {
        require_scorer(variant("scorer", "fp32"));
    }
}

Tensor Bundle::denoise(const Tensor& picture) {
    require("denoise");
    Part& graph = part("denoiser", has("denoiser", "fp32-uint8") ? "fp32-uint8" : "fp32");
    const TensorSpec &input = graph.variant.inputs.front(), &output = graph.variant.outputs.front();
    const Layout expected(input.shape.begin() + 1, input.shape.end());
    if (picture.dtype != DType::uint8 || !is_like(expected, picture.shape) ||
        picture.bytes.size() != count_of(picture.shape) || picture.bytes.empty()) {
        throw Error(1, "expected a picture " + describe(DType::uint8, expected) + ", got " +
                           describe(picture.dtype, picture.shape));
    }
    Tensor noisy = picture;
    noisy.shape.insert(noisy.shape.begin(), 1);
    const Sizes sizes = padded(graph.variant, noisy.shape);
    const Layout layout = graph.variant.shape_of_rows(input, false);
    Tensor clean(DType::uint8, noisy.shape);
    each_tile(graph.variant, sizes, [&](const Tile& tile) {
        Tensor x = as_input(cut(noisy, inputs_of(layout, noisy.shape, tile)), input);
        Tensors found = graph.run({{input.name, std::move(x)}});
        paste_tile(layout, as_pixels(std::move(found.at(output.name)), output), tile, clean);
    });
    clean.shape.erase(clean.shape.begin());
    return clean;
}

Tensor Bundle::generate(std::int64_t seed, std::int64_t count, std::optional<std::int64_t> label,
                        const std::optional<Shape>& size) {
    if (seed < 0 || count < 1) {
        throw Error(1, "expected a seed from 0 and a count from 1, got " + std::to_string(seed) +
                           " and " + std::to_string(count));
    }
    require("generate");
    const Variant& sampler = variant("sampler", "fp32");
    require_label("sampler", sampler, label);
    Sizes sizes = image_sizes(sampler, size);
    const std::int64_t at_once = images_at_once(sampler, sizes);
    Part& graph = part("sampler");
    Tensor images;
    for (std::int64_t first = 0; first < count; first += at_once) {
        sizes[batch] = std::min(at_once, count - first);
        const Tensor found =
            graph.run(sampler_inputs(sampler, sizes, seed, first, label)).at("image");
        images.dtype = found.dtype;
        images.shape = found.shape;
        images.bytes.insert(images.bytes.end(), found.bytes.begin(), found.bytes.end());
    }
    images.shape[0] = count;
    return images;
}

}  // namespace aeonnx
