#include "needs.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>

#include "pixels.hpp"

namespace aeonnx {
namespace {

struct Use {
    std::string part, verb;

    Error cannot(const std::string& expected, const std::string& got) const {
        return Error(1, "this bundle's " + part + " cannot " + verb + ": expected " + expected +
                            ", got " + got);
    }

    void require(const TensorSpec& spec, DType dtype, const Layout& shape) const {
        if (spec.dtype == dtype && spec.shape == shape) return;
        throw cannot(spec.name + " " + describe(dtype, shape), describe(spec.dtype, spec.shape));
    }

    void require_kind(const TensorSpec& spec, Kind kind, const char* what) const {
        if (spec.kind == kind) return;
        throw cannot(std::string("an ") + what + " of the kind " + name_of(kind),
                     spec.name + " of " + name_of(spec.kind));
    }

    // `from` is the first axis whose size must be a number.
    void require_numbers(const TensorSpec& spec, std::size_t from, std::size_t to) const {
        for (std::size_t i = from; i < to; ++i) {
            if (spec.shape[i].axis.empty()) continue;
            throw cannot(spec.name + " with a number for " + spec.shape[i].text,
                         describe(spec.shape));
        }
    }
};

std::string names_in(const std::vector<TensorSpec>& specs) {
    std::string text;
    for (const TensorSpec& spec : specs) text += (text.empty() ? "" : ", ") + spec.name;
    return text;
}

std::string range_of(const TensorSpec& spec) {
    if (!spec.range) return "of any range";
    std::ostringstream text;
    text << "in [" << (*spec.range)[0] << ", " << (*spec.range)[1] << "]";
    return text.str();
}

std::string in_words(const TensorSpec& spec) {
    return std::string(name_of(spec.kind)) + " " + describe(spec.shape);
}

// The lowest and the highest label: whole numbers from 0 on, within the range of the input.
std::array<std::int64_t, 2> labels_of(const TensorSpec& label) {
    const double most =
        label.dtype == DType::int32 ? 0x1p31 - 1 : static_cast<double>(largest_size);
    const Range range = label.range.value_or(Range{0, most});
    const auto within = [most](double value) {
        return static_cast<std::int64_t>(std::clamp(value, 0.0, most));
    };
    return {within(std::ceil(range[0])), within(std::floor(range[1]))};
}

const TensorSpec* first_of(const std::vector<TensorSpec>& specs, Kind kind) {
    const auto found = std::find_if(specs.begin(), specs.end(),
                                    [kind](const TensorSpec& spec) { return spec.kind == kind; });
    return found == specs.end() ? nullptr : &*found;
}

}  // namespace

void require_denoiser(const Variant& variant, DType dtype) {
    const Use use{"denoiser", "denoise"};
    if (variant.inputs.size() != 1) {
        throw use.cannot("1 input",
                         std::to_string(variant.inputs.size()) + ": " + names_in(variant.inputs));
    }
    const TensorSpec &input = variant.inputs.front(), &output = variant.outputs.front();
    use.require_kind(input, Kind::image, "input");
    use.require_kind(output, Kind::image, "output");
    if (input.shape != output.shape) {
        throw use.cannot(output.name + " of the shape of " + input.name + ", " + in_words(input),
                         in_words(output));
    }
    use.require_numbers(input, 1, 2);
    for (const TensorSpec* found : {&input, &output}) {
        use.require(*found, dtype, input.shape);
        if (dtype == DType::float32 && !holds_pixels(found->range)) {
            throw use.cannot(describe(*found) +
                                 " in a range [low, high] whose width is a float32"
                                 " above 0",
                             "one " + range_of(*found) +
                                 ": export it with such a range, or take its"
                                 " floats with the library's run");
        }
    }
}

void require_sampler(const Variant& variant) {
    const Use use{"sampler", "generate"};
    for (const TensorSpec& spec : variant.inputs) {
        const bool known = spec.kind == Kind::seed || spec.kind == Kind::index ||
                           spec.kind == Kind::canvas || spec.kind == Kind::label;
        if (!known || of_kind(variant, spec.kind) != &spec) {
            throw use.cannot("inputs of the kinds seed and index, and canvas and label at most",
                             spec.name + " of " + name_of(spec.kind));
        }
    }
    const Layout rows = {variant.outputs.front().shape.front()};
    for (const Kind kind : {Kind::seed, Kind::index}) {
        const TensorSpec* const found = of_kind(variant, kind);
        if (!found) {
            throw use.cannot(std::string("an input of the kind ") + name_of(kind),
                             names_in(variant.inputs));
        }
        use.require(*found, DType::int64, kind == Kind::seed ? Layout{fixed_size(1)} : rows);
    }
    const TensorSpec* const label = of_kind(variant, Kind::label);
    if (label)
        use.require(*label, label->dtype == DType::int32 ? DType::int32 : DType::int64, rows);
    const auto image = std::find_if(variant.outputs.begin(), variant.outputs.end(),
                                    [](const TensorSpec& spec) { return spec.name == "image"; });
    if (image == variant.outputs.end()) {
        throw use.cannot("an output image", names_in(variant.outputs));
    }
    use.require_kind(*image, Kind::image, "output");
    const TensorSpec* const canvas = of_kind(variant, Kind::canvas);
    use.require_numbers(*image, 1, canvas ? 2 : 4);
    use.require(*image, DType::uint8, image->shape);
    if (canvas) {
        Layout places = rows;
        places.insert(places.end(), image->shape.begin() + 2, image->shape.end());
        use.require(*canvas, DType::uint8, places);
    }
}

void require_scorer(const Variant& variant) {
    const Use use{"scorer", "score"};
    const TensorSpec& x = variant.inputs.front();
    const Layout rows = {variant.outputs.front().shape.front()};
    const TensorSpec* const score = score_of(variant);
    if (!score) throw use.cannot("an output of the kind score", names_in(variant.outputs));
    use.require(*score, DType::float32, rows);
    if (x.kind != Kind::image && x.kind != Kind::signal && x.kind != Kind::volume &&
        x.kind != Kind::vector && x.kind != Kind::other) {
        throw use.cannot("an input of the kind image, signal, volume, vector or other",
                         x.name + " of " + name_of(x.kind));
    }
    if (x.dtype != DType::float32 && x.dtype != DType::uint8) {
        throw use.cannot(x.name + " of float32 or uint8", describe(x.dtype, x.shape));
    }
    if (!variant.has_rows(x)) {
        throw use.cannot(x.name + " with a first size of " + rows.front().text,
                         describe(x.dtype, x.shape));
    }
    for (std::size_t i = 1; i < variant.inputs.size(); ++i) {
        const TensorSpec& spec = variant.inputs[i];
        if (spec.kind != Kind::label || i > 1) {
            throw use.cannot("a label at most beside " + x.name,
                             spec.name + " of " + name_of(spec.kind));
        }
        use.require(spec, DType::int64, rows);
    }
}

void require_takes_pictures(const Variant& scorer, const std::string& file) {
    const TensorSpec& x = scorer.inputs.front();
    const bool pixels = x.dtype == DType::uint8 || holds_pixels(x.range);
    std::string taken = in_words(x);
    if (x.kind == Kind::image) {
        const Extent& channels = x.shape[1];
        if (pixels && channels.axis.empty() && channels.factor <= 4) return;
        if (!pixels) taken += " " + range_of(x);
    }
    throw Error(1, file + ": this scorer takes " + taken + ": give a .npy file of rows");
}

const TensorSpec* of_kind(const Variant& variant, Kind kind) {
    return first_of(variant.inputs, kind);
}

const TensorSpec* score_of(const Variant& scorer) { return first_of(scorer.outputs, Kind::score); }

const TensorSpec& image_of(const Variant& sampler) {
    return *std::find_if(sampler.outputs.begin(), sampler.outputs.end(),
                         [](const TensorSpec& spec) { return spec.name == "image"; });
}

void require_label(const std::string& part, const Variant& variant,
                   std::optional<std::int64_t> label) {
    const TensorSpec* const spec = of_kind(variant, Kind::label);
    if (!spec) {
        if (label) throw Error(2, "this " + part + " takes no --label");
        return;
    }
    if (!spec->range && label && *label < 0) {
        throw Error(2, "--label: expected a whole number of 0 or more, got " +
                           std::to_string(*label));
    }
    const auto [lowest, highest] = labels_of(*spec);
    const std::string range = std::to_string(lowest) + " to " + std::to_string(highest);
    if (!label) throw Error(2, "this " + part + " needs --label, " + range);
    if (*label < lowest || *label > highest) {
        throw Error(2, "--label: expected a whole number from " + range + ", got " +
                           std::to_string(*label));
    }
}

}  // namespace aeonnx
