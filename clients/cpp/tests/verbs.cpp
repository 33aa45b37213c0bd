#include <cmath>

#include "inputs.hpp"
#include "needs.hpp"
#include "sample.hpp"
#include "testing.hpp"

using namespace aeonnx;
using nlohmann::json;

namespace {

const std::string cannot = "this bundle's denoiser cannot denoise: expected ";

// What `denoise` says of the denoiser of the sample after a change.
std::string denoiser(const std::function<void(Variant&)>& change, DType dtype = DType::float32) {
    Variant variant = variant_in(sample());
    change(variant);
    const std::string text = refusal([&] { require_denoiser(variant, dtype); });
    equal(text.substr(0, cannot.size()), cannot);
    return text.substr(cannot.size());
}

TensorSpec spec(const char* name, Kind kind, DType dtype, Layout shape) {
    return {name, dtype, std::move(shape), {}, kind};
}

Variant sampler() {
    const Extent rows = *read_size("batch", true);
    Variant variant;
    variant.inputs = {spec("seed", Kind::seed, DType::int64, {fixed_size(1)}),
                      spec("index", Kind::index, DType::int64, {rows}),
                      spec("label", Kind::label, DType::int64, {rows})};
    variant.inputs[2].range = Range{0, 9};
    variant.outputs = {spec("image", Kind::image, DType::uint8,
                            {rows, fixed_size(3), fixed_size(8), fixed_size(8)})};
    return variant;
}

std::string generates(const std::function<void(Variant&)>& change) {
    Variant variant = sampler();
    change(variant);
    return refusal([&] { require_sampler(variant); });
}

Tensors picture(const Shape& shape, float value = 0) {
    Tensor x(DType::float32, shape);
    for (std::size_t i = 0; i < x.bytes.size() / 4; ++i) x.values<float>()[i] = value;
    return {{"x", x}};
}

std::string sizes(const Tensors& inputs) {
    const Variant variant = variant_in(sample());
    return refusal([&] { sizes_in("denoiser", variant, inputs); });
}

}  // namespace

TEST(a_denoiser_takes_and_gives_one_image) {
    require_denoiser(variant_in(sample()), DType::float32);
    equal(denoiser([](Variant& it) { it.inputs[0].kind = Kind::signal; }),
          "an input of the kind image, got x of signal");
    equal(denoiser([](Variant& it) { it.outputs[0].kind = Kind::latent; }),
          "an output of the kind image, got y of latent");
    equal(denoiser([](Variant& it) {
              it.inputs.push_back(it.inputs[0]);
              it.inputs[1].name = "sigma";
          }),
          "1 input, got 2: x, sigma");
    equal(denoiser([](Variant& it) { it.outputs[0].shape[1] = fixed_size(3); }),
          "y of the shape of x, image [batch, 1, height, width], got image [batch, 3, height, "
          "width]");
    equal(denoiser([](Variant& it) {
              it.inputs[0].shape[1] = it.outputs[0].shape[1] = *read_size("colours", false);
          }),
          "x with a number for colours, got [batch, colours, height, width]");
    equal(denoiser([](Variant&) {}, DType::uint8),
          "x uint8 [batch, 1, height, width], got float32 [batch, 1, height, width]");
    equal(
        denoiser([](Variant& it) { it.inputs[0].range.reset(); }),
        "x float32 [batch, 1, height, width] in a range [low, high] whose width is a float32 above "
        "0, got one of any range: export it with such a range, or take its floats with the "
        "library's run");
}

TEST(a_sampler_takes_seed_index_and_label) {
    require_sampler(sampler());
    const std::string start = "this bundle's sampler cannot generate: expected ";
    const std::string kinds =
        start + "inputs of the kinds seed and index, and canvas and label at most, got ";
    equal(generates([](Variant& it) { it.inputs[2].kind = Kind::mask; }), kinds + "label of mask");
    equal(generates([](Variant& it) { it.inputs[2].kind = Kind::index; }),
          kinds + "label of index");
    equal(generates([](Variant& it) { it.inputs.erase(it.inputs.begin() + 1); }),
          start + "an input of the kind index, got seed, label");
    equal(generates([](Variant& it) { it.inputs[0].dtype = DType::int32; }),
          start + "seed int64 [1], got int32 [1]");
    equal(generates([](Variant& it) { it.inputs[2].dtype = DType::float32; }),
          start + "label int64 [batch], got float32 [batch]");
    equal(generates([](Variant& it) { it.outputs[0].name = "picture"; }),
          start + "an output image, got picture");
    equal(generates([](Variant& it) { it.outputs[0].dtype = DType::float32; }),
          start + "image uint8 [batch, 3, 8, 8], got float32 [batch, 3, 8, 8]");
    equal(generates([](Variant& it) { it.outputs[0].shape[2] = *read_size("h", false); }),
          start + "image with a number for h, got [batch, 3, h, 8]");
}

TEST(a_label_is_one_of_its_range) {
    require_label("sampler", sampler(), 9);
    equal(refusal([] { require_label("sampler", sampler(), std::nullopt); }),
          "this sampler needs --label, 0 to 9");
    equal(refusal([] { require_label("sampler", sampler(), 10); }),
          "--label: expected a whole number from 0 to 9, got 10");
    equal(refusal([] { require_label("sampler", sampler(), -1); }),
          "--label: expected a whole number from 0 to 9, got -1");
    Variant plain = sampler();
    plain.inputs.pop_back();
    require_label("sampler", plain, std::nullopt);
    equal(refusal([&] { require_label("sampler", plain, 1); }), "this sampler takes no --label");
    Variant any = sampler();
    any.inputs[2].range.reset();
    require_label("sampler", any, 0);
    equal(refusal([&] { require_label("sampler", any, -1); }),
          "--label: expected a whole number of 0 or more, got -1");
    any.inputs[2].range = Range{-1e300, 1e300};
    require_label("sampler", any, largest_size);
    any.inputs[2].dtype = DType::int32;
    equal(refusal([&] { require_label("sampler", any, std::int64_t{1} << 31); }),
          "--label: expected a whole number from 0 to 2147483647, got 2147483648");
}

TEST(inputs_have_the_sizes_that_axes_allow) {
    const Variant variant = variant_in(sample());
    equal(sizes_in("denoiser", variant, picture({3, 1, 8, 10})).at("width"), 10);
    equal(sizes({}), "denoiser: expected the inputs x float32 [batch, 1, height, width]");
    equal(sizes(picture({28, 28})),
          "denoiser: x: expected float32 [batch, 1, height, width], got float32 [28, 28]");
    equal(sizes(picture({1, 1, 41, 8})),
          "denoiser: x: height: expected a multiple of 2 of at least 8, got 41: the nearest is 42");
    Tensors short_of = picture({1, 1, 8, 8});
    short_of.at("x").bytes.pop_back();
    equal(sizes(short_of), "denoiser: x: expected the bytes of float32 [1, 1, 8, 8], got 255");
    Tensors negative = picture({});
    negative.at("x").shape = {1, 1, -8, 8};
    yes(sizes(negative).find("got float32 [1, 1, -8, 8]") != std::string::npos, "a negative size");
}

TEST(the_range_is_rounded_to_the_type_of_an_input) {
    TensorSpec x = variant_in(sample()).inputs[0];
    x.range = Range{-0.7, 0.1};  // in float32 one is below, the other above
    const auto said = [&](float value) {
        return refusal([&] { require_values("denoiser", x, picture({1, 1}, value).at("x")); });
    };
    require_values("denoiser", x, picture({1, 1}, 0.1f).at("x"));
    require_values("denoiser", x, picture({1, 1}, -0.7f).at("x"));
    equal(said(std::nextafter(0.1f, 1.0f)),
          "denoiser: x: expected values in [-0.7, 0.1], got 0.100000009 to 0.100000009");
    yes(said(std::nextafter(-0.7f, -1.0f)).find("expected values in") != std::string::npos, "low");
    const TensorSpec wide{"n", DType::float64, {fixed_size(1)}, Range{0, 0.1}};
    Tensor n(DType::float64, {1});
    n.values<double>()[0] = 0.1;
    require_values("denoiser", wide, n);
    n.values<double>()[0] = static_cast<double>(0.1f);
    yes(refusal([&] { require_values("denoiser", wide, n); }).find("[0, 0.1]") != std::string::npos,
        "in float64 it is above");
    const TensorSpec whole{"n", DType::int64, {fixed_size(1)}, Range{0, 16777217}};
    Tensor large(DType::int64, {1});
    large.values<std::int64_t>()[0] = 16777217;  // which is no float32
    require_values("denoiser", whole, large);
}

TEST(numbers_are_not_negative_without_a_range) {
    Tensor numbers(DType::int64, {2});
    const auto require = [&](Kind kind, std::optional<Range> range) {
        require_values("decoder", {"z", DType::int64, {fixed_size(2)}, range, kind}, numbers);
    };
    for (const Kind kind : {Kind::label, Kind::codes}) {
        numbers.values<std::int64_t>()[1] = 1 << 20;
        require(kind, {});
        numbers.values<std::int64_t>()[1] = -1;
        equal(refusal([&] { require(kind, {}); }),
              "decoder: z: expected values of 0 or more, got -1");
        require(kind, Range{-1, 1});
        yes(!takes_numbers({"z", DType::int64, {fixed_size(2)}, Range{-1, 1}, kind}), "a range");
    }
    require(Kind::other, {});
}

TEST(values_are_finite_and_within_the_range) {
    const TensorSpec x = variant_in(sample()).inputs[0];
    const auto said = [&](float value) {
        return refusal([&] { require_values("denoiser", x, picture({2, 2}, value).at("x")); });
    };
    require_values("denoiser", x, picture({2, 2}, 1).at("x"));
    equal(said(7), "denoiser: x: expected values in [0, 1], got 7 to 7");
    equal(said(NAN), "denoiser: x: expected finite values, got NaN or infinity");
    equal(said(-INFINITY), "denoiser: x: expected finite values, got NaN or infinity");
    TensorSpec some = x;
    some.missing = true;
    Tensor with_nan = picture({2, 2}, NAN).at("x");
    require_values("denoiser", some, with_nan);
    with_nan.values<float>()[3] = 7;  // behind NaN, which is below and above nothing
    equal(refusal([&] { require_values("denoiser", some, with_nan); }),
          "denoiser: x: expected values in [0, 1], got 7 to 7");
    with_nan.values<float>()[3] = INFINITY;
    equal(refusal([&] { require_values("denoiser", some, with_nan); }),
          "denoiser: x: expected finite values, got NaN or infinity");
    Tensor wide(DType::float64, {3});
    wide.values<double>()[0] = 0.1;
    wide.values<double>()[1] = 1e300;
    const Tensor rounded = converted(wide, DType::float32);
    equal(rounded.values<float>()[0], 0.1f);
    equal(rounded.values<float>()[1], INFINITY);
    Tensor half(DType::float16, {5});
    const std::uint16_t bits[] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00};
    std::copy_n(bits, 5, half.values<std::uint16_t>());
    const Tensor found = converted(half, DType::float32);
    const float expected[] = {1, -2, 0x1p-24f, 65504, INFINITY};
    for (int i = 0; i < 5; ++i) equal(found.values<float>()[i], expected[i]);
    yes(converted(half, DType::float16).dtype == DType::float16, "no conversion is asked for");
}
