#include "sampling.hpp"

#include "needs.hpp"
#include "picture.hpp"
#include "testing.hpp"

using namespace aeonnx;

namespace {

Layout layout_of(const Extent& rows, const std::vector<std::string>& sizes) {
    Layout layout = {rows};
    for (const std::string& size : sizes) layout.push_back(*read_size(size, false));
    return layout;
}

// A sampler of RGB images of any size, with labels; its golden images are 16x24.
Variant any_size(const Extent& rows = *read_size(batch, true)) {
    Variant variant;
    variant.inputs = {{"seed", DType::int64, {fixed_size(1)}, {}, Kind::seed},
                      {"index", DType::int64, {rows}, {}, Kind::index},
                      {"canvas", DType::uint8, layout_of(rows, {"h", "w"}), {}, Kind::canvas},
                      {"label", DType::int32, {rows}, {}, Kind::label}};
    Layout image = layout_of(rows, {"h", "w"});
    image.insert(image.begin() + 1, fixed_size(3));
    variant.outputs = {{"z", DType::float32, layout_of(rows, {"h/4", "w/4"}), {}, Kind::latent},
                       {"image", DType::uint8, image, {}, Kind::image}};
    variant.axes = {{"h", {4, 8, 512}}, {"w", {4, 8}}};
    if (!rows.axis.empty()) variant.axes.emplace(batch, Axis{});
    Golden golden;
    golden.outputs = {{"image", {"image.bin", "", DType::uint8, {8, 3, 16, 24}}}};
    variant.golden = {golden};
    return variant;
}

std::string generates(const std::function<void(Variant&)>& change) {
    Variant variant = any_size();
    change(variant);
    const std::string start = "this bundle's sampler cannot generate: expected ";
    const std::string text = refusal([&] { require_sampler(variant); });
    equal(text.substr(0, start.size()), start);
    return text.substr(start.size());
}

std::string refused(const Shape& size) {
    return refusal([&] { image_sizes(any_size(), size); });
}

}  // namespace

TEST(a_canvas_has_the_size_of_the_images) {
    require_sampler(any_size());
    equal(generates([](Variant& it) { it.inputs[2].dtype = DType::int64; }),
          "canvas uint8 [batch, h, w], got int64 [batch, h, w]");
    equal(generates([](Variant& it) { it.inputs[2].shape.pop_back(); }),
          "canvas uint8 [batch, h, w], got uint8 [batch, h]");
    equal(generates([](Variant& it) { std::swap(it.inputs[2].shape[1], it.inputs[2].shape[2]); }),
          "canvas uint8 [batch, h, w], got uint8 [batch, w, h]");
    equal(generates([](Variant& it) { it.inputs[2].shape[0] = fixed_size(1); }),
          "canvas uint8 [batch, h, w], got uint8 [1, h, w]");
    equal(generates([](Variant& it) {
              it.inputs.push_back(it.inputs[2]);
              it.inputs[4].name = "other";
          }),
          "inputs of the kinds seed and index, and canvas and label at most, got other of canvas");
    equal(generates([](Variant& it) { it.outputs[1].shape[1] = *read_size("h", false); }),
          "image with a number for h, got [batch, h, h, w]");
}

TEST(images_have_the_size_of_golden_vectors_or_a_given_one) {
    equal(image_sizes(any_size(), std::nullopt) == Sizes{{"batch", 8}, {"h", 16}, {"w", 24}}, true);
    const Sizes sizes = image_sizes(any_size(), Shape{64, 48});
    equal(sizes.at("h"), 64);
    equal(sizes.at("w"), 48);
    Variant wide = any_size();  // whose height is a number
    for (TensorSpec* spec : {&wide.inputs[2], &wide.outputs[1]}) {
        *(spec->shape.end() - 2) = fixed_size(16);
    }
    wide.axes.erase("h");
    wide.outputs.erase(wide.outputs.begin());
    require_sampler(wide);
    equal(image_sizes(wide, Shape{48}).at("w"), 48);
    equal(refusal([&] { image_sizes(wide, Shape{64, 48}); }),
          "size: expected 1 number, w, got 64x48");
    *(wide.inputs[2].shape.end() - 1) = *(wide.outputs[0].shape.end() - 1) = fixed_size(24);
    wide.axes.erase("w");
    require_sampler(wide);
    equal(image_sizes(wide, std::nullopt).at(batch), 8);
    equal(refusal([&] { image_sizes(wide, Shape{16, 24}); }),
          "size: expected none, the images of this bundle have one size");
}

TEST(sizes_that_images_cannot_have_are_refused) {
    equal(refused({64, 48, 3}), "size: expected 2 numbers, h and w, got 64x48x3");
    equal(refused({}), "size: expected 2 numbers, h and w, got ");
    equal(refused({30, 48}),
          "size: h: expected a multiple of 4 from 8 to 512, got 30: the nearest is 32");
    equal(refused({64, 0}),
          "size: w: expected a multiple of 4 of at least 8, got 0: the nearest is 8");
    const std::string huge = refused({64, uncountable});
    yes(huge.find("size: w: expected a multiple of 4 of at least 8, got 9223372036854775807") == 0,
        huge);
    try {
        image_sizes(any_size(), Shape{30, 48});
    } catch (const Error& error) {
        equal(error.exit_code, 2);
    }
}

TEST(a_sampler_gets_a_canvas_of_the_size) {
    Sizes sizes = image_sizes(any_size(), Shape{8, 12});
    sizes[batch] = 2;
    const Tensors inputs = sampler_inputs(any_size(), sizes, 7, 64, 3);
    equal(inputs.size(), 4U);
    equal(describe(DType::int64, inputs.at("seed").shape), "int64 [1]");
    equal(inputs.at("seed").values<std::int64_t>()[0], 7);
    equal(describe(DType::int64, inputs.at("index").shape), "int64 [2]");
    equal(inputs.at("index").values<std::int64_t>()[1], 65);
    equal(inputs.at("label").values<std::int32_t>()[1], 3);
    const Tensor& canvas = inputs.at("canvas");
    equal(describe(canvas.dtype, canvas.shape), "uint8 [2, 8, 12]");
    yes(canvas.bytes == std::vector<std::byte>(2 * 8 * 12), "zeros");
    const Tensors fixed = sampler_inputs(any_size(fixed_size(1)), sizes, 7, 0, 3);
    equal(describe(DType::uint8, fixed.at("canvas").shape), "uint8 [2, 8, 12]");
    equal(describe(DType::int64, fixed.at("seed").shape), "int64 [1]");
}

TEST(large_images_are_made_few_at_once) {
    const auto at_once = [](const Variant& sampler, std::int64_t side) {
        return images_at_once(sampler, image_sizes(sampler, Shape{side, side}));
    };
    Variant sampler = any_size();
    sampler.axes["h"].max.reset();
    equal(at_once(sampler, 64), 64);
    equal(at_once(sampler, 256), 21);
    equal(at_once(sampler, 2048), 1);
    equal(at_once(sampler, 4000000000), 1);
    Variant fixed = any_size(fixed_size(4));
    fixed.axes["h"].max.reset();
    equal(at_once(fixed, 2048), 4);
}

TEST(images_that_no_picture_holds_are_refused) {
    Variant sampler = any_size();
    sampler.axes["h"].max.reset();
    require_grid(sampler, image_sizes(sampler, Shape{64, 48}), 4);
    const auto said = [&](std::int64_t side) {
        const Sizes sizes = image_sizes(sampler, Shape{side, side});
        return refusal([&] { require_grid(sampler, sizes, 1); });
    };
    const std::string start = "this bundle's sampler cannot generate: expected fewer or smaller ";
    equal(said(4000000), start + "images: a picture of 4000000x4000000 pixels is too large");
    equal(said(largest_size - 3), start + "images: the picture would be too large");
}
