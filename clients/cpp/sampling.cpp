#include "sampling.hpp"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>

#include "needs.hpp"
#include "tiles.hpp"

namespace aeonnx {
namespace {

constexpr std::int64_t most_at_once = 64;

std::string joined(const std::vector<std::string>& texts, const char* between) {
    std::string all;
    for (const std::string& text : texts) all += (all.empty() ? "" : between) + text;
    return all;
}

Error other_count(const Layout& axes, const Shape& size) {
    std::vector<std::string> names, numbers;
    for (const Extent& axis : axes) names.push_back(axis.text);
    for (const std::int64_t number : size) numbers.push_back(std::to_string(number));
    const char* const plural = axes.size() == 1 ? "" : "s";
    return Error(2, "size: expected " + std::to_string(axes.size()) + " number" + plural + ", " +
                        joined(names, " and ") + ", got " + joined(numbers, "x"));
}

}  // namespace

Sizes image_sizes(const Variant& sampler, const std::optional<Shape>& size) {
    const TensorSpec& image = image_of(sampler);
    const Shape& stored = sampler.golden.front().outputs.at(image.name).shape;
    Axes axes = sampler.axes;
    axes.emplace(batch, Axis{});  // of a graph that is fixed to a number of rows
    const Sizes known = solve({{image.name, sampler.shape_of_rows(image, true), stored}}, axes);
    if (!size) return known;
    Layout dynamic;
    std::copy_if(image.shape.begin() + 2, image.shape.end(), std::back_inserter(dynamic),
                 [](const Extent& each) { return !each.axis.empty(); });
    if (dynamic.empty()) {
        throw Error(2, "size: expected none, the images of this bundle have one size");
    }
    if (dynamic.size() != size->size()) throw other_count(dynamic, *size);
    try {
        Sizes sizes = solve({{"size", dynamic, *size}}, axes);
        sizes.insert(known.begin(), known.end());  // those that `size` does not say
        return sizes;
    } catch (const std::runtime_error& error) {
        throw Error(2, error.what());
    }
}

std::int64_t images_at_once(const Variant& sampler, const Sizes& sizes) {
    const std::int64_t image = std::max<std::int64_t>(values_of_row(sampler, sizes), 1);
    const std::int64_t most = std::clamp<std::int64_t>(many_values / image, 1, most_at_once);
    return std::max(most, sampler.fixed_rows().value_or(1));
}

Tensors sampler_inputs(const Variant& sampler, const Sizes& sizes, std::int64_t seed,
                       std::int64_t first, std::optional<std::int64_t> label) {
    Tensors inputs;
    for (const TensorSpec& spec : sampler.inputs) {
        Tensor input(spec.dtype, shape_at(sampler.shape_of_rows(spec, false), sizes));
        for (std::int64_t i = 0; spec.kind != Kind::canvas && i < input.shape[0]; ++i) {
            const std::int64_t value = spec.kind == Kind::seed    ? seed
                                       : spec.kind == Kind::index ? first + i
                                                                  : label.value();
            if (spec.dtype == DType::int32) {
                input.values<std::int32_t>()[i] = static_cast<std::int32_t>(value);
            } else {
                input.values<std::int64_t>()[i] = value;
            }
        }
        inputs.emplace(spec.name, std::move(input));
    }
    return inputs;
}

}  // namespace aeonnx
