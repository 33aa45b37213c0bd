#include "manifest.hpp"

#include "sample.hpp"
#include "testing.hpp"

using namespace aeonnx;
using nlohmann::json;

namespace {

const std::string at = "manifest.json: parts.denoiser.fp32.";

// What is said of the sample with another value at a place of the denoiser.
std::string of(const std::string& place, const json& value) {
    json document = sample();
    part_of(document)[json::json_pointer(place)] = value;
    const std::string text = refusal([&] { parsed(document); });
    return text.substr(0, at.size()) == at ? text.substr(at.size()) : text;
}

const json huge = std::int64_t{1} << 53;

}  // namespace

TEST(a_sound_manifest_is_read) {
    const Variant variant = variant_in(sample());
    equal(variant.golden.size(), 2U);
    equal(variant.golden[1].outputs.at("y").tolerance[0], 0.3);
    equal(describe(variant.inputs[0]), "x float32 [batch, 1, height, width]");
    equal(*variant.axes.at("height").margin, 3);
    yes(!variant.fixed_rows() && variant.has_rows(variant.inputs[0]), "rows of any number");
    json document = sample();
    document["later"] = {1, {{"a", 2}}};
    part_of(document)["axes"]["height"]["later"] = "b";
    part_of(document)["inputs"][0]["names"] = 5;  // what is not used is not checked
    parsed(document);
}

TEST(no_text_acts_on_a_terminal) {
    equal(std::string(Error(1, "a\x1b[31m\n\x7f\xc2\x9b\xff\xe2\x80\xaeé😀").what()),
          "a\\x1b[31m\\x0a\\x7f\\x9b\\xff\\u202eé😀");
    for (const char* text : {"a\x1b", "\n", "\x7f", "\xc2\x9b"}) {
        json document = sample();
        document["model"] = text;
        yes(refusal([&] { parsed(document); }).find("model: expected a text without") !=
                std::string::npos,
            text);
    }
    json document = sample();
    document["model"] = "\xe2\x80\xae";  // Python's reader takes it too
    parsed(document);
}

TEST(other_versions_are_refused) {
    const auto of_version = [](const json& version) {
        json document = sample();
        document["version"] = version;
        return refusal([&] { parsed(document); });
    };
    equal(of_version(1),
          "manifest.json: version 1 is older than this program, which reads 2: export the bundle "
          "again");
    equal(of_version(3),
          "manifest.json: version 3 is newer than this program, which reads 2: take a newer one");
    equal(of_version(2.0),
          "manifest.json: version: expected a whole number from 1 to 2^53 - 1, got 2.0");
}

TEST(kinds_have_their_axes) {
    equal(of("/inputs/0/kind", "vector"),
          "inputs[0].kind: expected 2 axes of a tensor of the kind vector, got [batch, 1, height, "
          "width]");
    equal(of("/inputs/0/kind", "canvas"),
          "inputs[0].kind: expected 3 axes of a tensor of the kind canvas, got [batch, 1, height, "
          "width]");
    yes(of("/inputs/0/kind", "picture").find("inputs[0].kind: expected one of image, latent") == 0,
        "no such kind");
    json document = sample();
    part_of(document)["inputs"][0].erase("kind");
    equal(refusal([&] { parsed(document); }), at + "inputs[0].kind: expected a value, got nothing");
}

TEST(values_may_be_missing_among_floats) {
    json document = sample();
    yes(!variant_in(document).inputs[0].missing, "no such field");
    for (const bool missing : {false, true}) {
        part_of(document)["inputs"][0]["missing"] = missing;
        equal(variant_in(document).inputs[0].missing, missing);
    }
    for (const json& none : {json(1), json("true"), json(nullptr), json::array({true})}) {
        const std::string text = of("/inputs/0/missing", none);
        yes(text.find("inputs[0].missing: expected true or false, got ") == 0, text);
    }
    part_of(document)["inputs"][0]["dtype"] = "int64";
    equal(refusal([&] { parsed(document); }),
          at + "inputs[0].missing: expected floats, which have NaN, got int64");
}

TEST(sizes_that_are_none_are_refused) {
    for (const json& size : {json("a*b"), json("2*batch"), json("batch"), json("h\"/2"), json(""),
                             json(0), json(-1), json(1.5), huge, json(true), json(nullptr)}) {
        const std::string text = of("/inputs/0/shape/2", size);
        yes(text.find("inputs[0].shape: expected ") == 0, text);
    }
    yes(of("/inputs/0/shape/2", "h\n").find("inputs[0].shape: expected a text without") == 0,
        "a line break");
    yes(of("/inputs/0/shape", json::array()).find("inputs[0].shape: expected a list of sizes") == 0,
        "no size");
    equal(of("/inputs/0/shape", {1 << 30, 1 << 20, "height", "width"}),
          "inputs[0].shape: expected fewer than 2^50 values, got more");
}

TEST(axes_are_those_of_the_tensors) {
    equal(of("/axes", json::object()),
          "axes: expected batch, height, width, those of the tensors, got none");
    equal(of("/axes/depth", axis_json(1, 1)),
          "axes: expected batch, height, width, those of the tensors, got batch, depth, height, "
          "width");
    equal(of("/axes/a\"b", axis_json(1, 1)), "axes: expected a lower-case name, got \"a\\\"b\"");
    equal(
        of("/inputs/0/shape/2", 64),
        "outputs: expected sizes that follow axes of the inputs, batch, width, got batch, height, "
        "width");
    equal(
        of("/inputs/0/shape/2", "height/4"),
        "axes.height.multiple: expected a multiple of 4, by which a size divides the axis, got 2");
    for (const char* field : {"multiple", "min", "max"}) {
        for (const json& size : {json(0), json(-2), json(1.5), huge, json("2"), json(true)}) {
            const std::string text = of("/axes/height/" + std::string(field), size);
            yes(text.find("axes.height." + std::string(field) + ": expected a whole") == 0, text);
        }
    }
    equal(of("/axes/height/min", 9), "axes.height.min: expected a multiple of 2, got 9");
    equal(of("/axes/height/max", 9), "axes.height.max: expected a multiple of 2, got 9");
    equal(of("/axes/height/max", 6), "axes.height.max: expected at least min, 8, got 6");
    equal(of("/axes/height/margin", -1),
          "axes.height.margin: expected a whole number from 0 to 2^53 - 1, got -1");
    json document = sample();
    part_of(document)["axes"]["height"]["margin"] = largest_size;
    parsed(document);
}

TEST(all_tensors_agree_in_rows) {
    equal(
        of("/outputs/0/shape/0", "height"),
        "outputs[0].shape: expected sizes above 0, \"batch\" for the first, or axes such as height "
        "and height/8, got \"height\"");
    json document = sample();
    json& part = part_of(document);
    part["outputs"].push_back(tensor_json("z", "other", {7, 3}));
    for (json& set : part["golden"]) set["outputs"]["z"] = stored_json({7, 3}, json(7, 0.5));
    yes(refusal([&] { parsed(document); }).find("outputs: expected the same first size in all, ") !=
            std::string::npos,
        "two first sizes");
    equal(of("/outputs/0/name", "other").substr(0, 27), "golden[0].outputs.other: ex");
}

TEST(golden_arrays_have_sizes_that_are_allowed) {
    equal(of("/golden", json::array()), "golden: expected at least one set of vectors, got none");
    equal(of("/golden", json::object()), "golden: expected a list, got an object");
    equal(
        of("/golden/1/inputs/x/shape", {1, 1, 8, 9}),
        "golden[1].inputs.x: width: expected a multiple of 2 of at least 8, got 9: the nearest is "
        "10");
    equal(of("/golden/1/inputs/x/shape", {1, 2, 8, 10}),
          "golden[1].inputs.x: expected float32 [batch, 1, height, width], got float32 [1, 2, 8, "
          "10]");
    equal(of("/golden/1/outputs/y/shape", {1, 1, 10, 8}),
          "golden[1].outputs.y: expected float32 [1, 1, 8, 10], got float32 [1, 1, 10, 8]");
    equal(of("/axes/batch/max", 1),
          "golden[0].inputs.x: batch: expected a size from 1 to 1, got 2: the nearest is 1");
    equal(of("/golden/0/outputs/y/tolerance", 0.5),
          "golden[0].outputs.y.tolerance: expected 2 numbers above 0, got 0.5");
    equal(of("/golden/0/outputs/y/tolerance/1", 0),
          "golden[0].outputs.y.tolerance[1]: expected a number above 0, got 0");
    equal(of("/golden/0/inputs/x/shape", {1 << 30, 1, 64, 66}),
          "golden[0].inputs.x.shape: expected at most 2 GiB, got float32 [1073741824, 1, 64, 66]");
    equal(of("/golden/0/inputs/x/shape", {largest_size, largest_size}),
          "golden[0].inputs.x.shape: expected fewer than 2^50 values, got more");
}

TEST(a_fixed_number_of_rows_has_whole_batches) {
    json document = sample();
    json& part = part_of(document);
    part["axes"].erase("batch");
    part["inputs"][0]["shape"][0] = part["outputs"][0]["shape"][0] = 2;
    equal(refusal([&] { parsed(document); }),
          at + "golden[1].inputs: expected batches of 2 rows, got 1 rows");
    part["golden"].erase(1);
    const Variant variant = variant_in(document);
    equal(*variant.fixed_rows(), 2);
    equal(describe(variant.shape_of_rows(variant.inputs[0], false)), "[batch, 1, height, width]");
}

TEST(rows_follow_the_first_size_and_the_kind) {
    Variant variant;
    const auto spec = [](const char* name, Kind kind, std::int64_t rows) {
        return TensorSpec{name, DType::int64, {fixed_size(rows)}, {}, kind};
    };
    variant.outputs = {spec("y", Kind::other, 1)};
    yes(variant.has_rows(spec("x", Kind::other, 1)), "one row");
    yes(!variant.has_rows(spec("x", Kind::seed, 1)), "a seed");
    yes(!variant.has_rows(spec("x", Kind::other, 2)), "another first size");
}
