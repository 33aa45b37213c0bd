#include "needs.hpp"

#include <algorithm>
#include <sstream>

#include "pixels.hpp"

namespace aeonnx {
namespace {

struct Use {
    std::string part, verb;

    Error cannot(const std::string& expected, const std::string& got) const {
        return Error(1, "this bundle's " + part + " cannot " + verb + ": expected " + expected +
                            ", got " + got);
    }

    // `found` is null where there is no such tensor.
    void require(const TensorSpec& expected, const TensorSpec* found) const {
        if (!found) throw cannot(describe(expected), "no " + expected.name);
        if (found->dtype != expected.dtype || found->shape != expected.shape) {
            throw cannot(describe(expected), describe(found->dtype, found->shape));
        }
    }

    void require_count(const std::vector<TensorSpec>& inputs, std::size_t count) const {
        if (inputs.size() == count) return;
        throw cannot(std::to_string(count) + (count == 1 ? " input" : " inputs"),
                     std::to_string(inputs.size()));
    }
};

const TensorSpec* named(const std::vector<TensorSpec>& specs, const char* name) {
    const auto found = std::find_if(specs.begin(), specs.end(),
                                    [name](const TensorSpec& spec) { return spec.name == name; });
    return found == specs.end() ? nullptr : &*found;
}

std::int64_t first_size(const TensorSpec& spec) {
    return spec.shape.empty() ? batch : spec.shape[0];
}

// The shape of a tensor with other rows: sizes that are no number have no place behind them.
Shape with_rows(Shape shape, std::int64_t rows) {
    if (shape.empty()) shape.push_back(rows);
    shape[0] = rows;
    std::replace(shape.begin() + 1, shape.end(), batch, std::int64_t{1});
    return shape;
}

std::string range_of(const TensorSpec& spec) {
    if (!spec.range) return "of any range";
    std::ostringstream text;
    text << "in [" << (*spec.range)[0] << ", " << (*spec.range)[1] << "]";
    return text.str();
}

Shape image_shape(std::int64_t rows, const ImageShape& image) {
    return {rows, image[0], image[1], image[2]};
}

}  // namespace

void require_rows(const std::string& part, const std::string& verb, const Variant& variant) {
    const Use use{part, verb};
    const std::int64_t rows = first_size(variant.outputs.front());
    const auto require = [&](const TensorSpec& spec) {
        use.require({spec.name, spec.dtype, with_rows(spec.shape, rows)}, &spec);
    };
    bool any = false;
    for (const TensorSpec& spec : variant.inputs) {
        if (has_rows(spec)) require(spec);
        any = any || has_rows(spec);
    }
    if (!any) throw use.cannot("an input with rows", describe(variant.inputs.front()));
    std::for_each(variant.outputs.begin(), variant.outputs.end(), require);
}

void require_golden(const std::string& part, const Variant& variant) {
    const Use use{part, "be checked"};
    const Stored& first = variant.golden_outputs.begin()->second;
    const std::int64_t rows = first.shape.empty() ? 1 : first.shape[0];
    const auto require = [&](const TensorSpec& spec, const Stored& stored, bool per_row) {
        const Shape shape = per_row ? with_rows(spec.shape, rows) : spec.shape;
        const TensorSpec found{"", stored.dtype, stored.shape};
        use.require({"golden " + spec.name, spec.dtype, shape}, &found);
    };
    for (const TensorSpec& spec : variant.inputs) {
        require(spec, variant.golden_inputs.at(spec.name), has_rows(spec));
    }
    for (const TensorSpec& spec : variant.outputs) {
        require(spec, variant.golden_outputs.at(spec.name), true);
    }
}

void require_denoiser(const Variant& variant, DType dtype, const ImageShape& image) {
    const Use use{"denoiser", "denoise"};
    use.require_count(variant.inputs, 1);
    const Shape shape = image_shape(first_size(variant.inputs.front()), image);
    for (const TensorSpec* found : {&variant.inputs.front(), &variant.outputs.front()}) {
        const TensorSpec expected{found->name, dtype, shape};
        use.require(expected, found);
        if (dtype == DType::float32 && !holds_pixels(found->range)) {
            throw use.cannot(describe(expected) + " in a range [low, high] whose width is a float32"
                                                  " above 0",
                             "one " + range_of(*found) + ": export it with such a range, or take its"
                                                         " floats with the library's run");
        }
    }
    require_rows(use.part, use.verb, variant);
}

void require_sampler(const Variant& variant, const ImageShape& image) {
    const Use use{"sampler", "generate"};
    use.require_count(variant.inputs, 2);
    const TensorSpec* const index = named(variant.inputs, "index");
    const std::int64_t rows = index ? first_size(*index) : batch;
    use.require({"seed", DType::int64, {1}}, named(variant.inputs, "seed"));
    use.require({"index", DType::int64, {rows}}, index);
    use.require({"image", DType::uint8, image_shape(rows, image)}, named(variant.outputs, "image"));
    require_rows(use.part, use.verb, variant);
}

}  // namespace aeonnx
