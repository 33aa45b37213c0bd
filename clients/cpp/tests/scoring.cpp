#include "scoring.hpp"

#include <cmath>

#include "bundle.hpp"
#include "needs.hpp"
#include "sample.hpp"
#include "score_files.hpp"
#include "testing.hpp"

using namespace aeonnx;

namespace {

Variant scorer() { return variant_in(sample_scorer()); }

// What `score` says of the scorer after a change.
std::string cannot(const std::function<void(Variant&)>& change) {
    const std::string start = "this bundle's scorer cannot score: expected ";
    Variant variant = scorer();
    change(variant);
    const std::string text = refusal([&] { require_scorer(variant); });
    equal(text.substr(0, start.size()), start);
    return text.substr(start.size());
}

std::string refused(const Variant& variant, const std::string& threshold, int exit_code) {
    try {
        threshold_of(variant, threshold);
    } catch (const Error& error) {
        ::equal(error.exit_code, exit_code, threshold);
        return error.what();
    }
    throw std::logic_error("expected an error, got none");
}

// A bundle whose graph is never opened.
Bundle bundle_of(const Variant& variant) {
    Manifest manifest;
    manifest.parts["scorer"].emplace("fp32", variant);
    return Bundle("no folder", manifest);
}

Tensor rows(float value) {
    Tensor x(DType::float32, {1, 1, 8, 8});
    x.values<float>()[0] = value;
    return x;
}

TensorSpec label() {
    return {"label", DType::int64, {*read_size("batch", true)}, Range{0, 9}, Kind::label};
}

}  // namespace

TEST(a_percentile_lies_between_quantiles) {
    const Quantiles normal = scorer().normal.at("error");
    equal(percentile_of(normal, -1), 0);
    equal(percentile_of(normal, 0), 0);
    equal(percentile_of(normal, 0.5), 0.25);
    equal(percentile_of(normal, 2), 1, "a quantile");
    equal(percentile_of(normal, 99), 49.5);
    equal(percentile_of(normal, 100), 50, "the first of two equal ones");
    equal(percentile_of(normal, 101), 51.25, "behind both, a quarter of the way to 104");
    equal(percentile_of(normal, 200), 100);
    equal(percentile_of(normal, 201), 100);
    equal(percentile_of(normal, INFINITY), 100);
    equal(percentile_of(normal, NAN), 0, "as in Python");
}

TEST(a_threshold_is_a_name_or_a_number) {
    const Variant variant = scorer();
    equal(threshold_of(variant, "p99"), 198);
    equal(threshold_of(variant, "p95"), 190.5);
    equal(threshold_of(variant, "-0.5"), -0.5);
    equal(threshold_of(variant, "1e-3"), 1e-3);
    for (const char* text : {"p98", "", "p", "nan", "inf", "1e999", " 1", "1 ", "0x1", "1,5"}) {
        equal(refused(variant, text, 2),
              std::string("threshold: expected p95, p99 or a number, got ") + text);
    }
    Variant bare = variant;
    bare.percentiles.clear();
    equal(threshold_of(bare, "7"), 7);
    equal(refused(bare, "p99", 1),
          "threshold p99: the manifest says nothing about the scores of normal images: give a "
          "number, or export again with --calibration IMAGES");
    equal(refused(bare, "x", 2), "threshold: expected a number, got x");
    bare.percentiles["error"];
    yes(refused(bare, "p5", 1).find("threshold p5: ") == 0, "no percentile of this output");
}

TEST(a_scorer_gives_a_score) {
    require_scorer(scorer());
    equal(cannot([](Variant& it) { it.outputs[1].kind = Kind::other; }),
          "an output of the kind score, got y, error");
    equal(cannot([](Variant& it) { it.outputs[1].dtype = DType::float64; }),
          "error float32 [batch], got float64 [batch]");
    equal(cannot([](Variant& it) { it.inputs[0].kind = Kind::latent; }),
          "an input of the kind image, signal, volume, vector or other, got x of latent");
    equal(cannot([](Variant& it) { it.inputs[0].dtype = DType::float16; }),
          "x of float32 or uint8, got float16 [batch, 1, height, width]");
    equal(cannot([](Variant& it) { it.inputs[0].shape[0] = fixed_size(1); }),
          "x with a first size of batch, got float32 [1, 1, height, width]");
    equal(cannot([](Variant& it) { it.inputs.push_back(it.inputs[0]); }),
          "a label at most beside x, got x of image");
    equal(cannot([](Variant& it) { it.inputs.insert(it.inputs.end(), 2, label()); }),
          "a label at most beside x, got label of label");
    equal(cannot([](Variant& it) {
              it.inputs.push_back(label());
              it.inputs[1].dtype = DType::int32;
          }),
          "label int64 [batch], got int32 [batch]");
}

TEST(pictures_are_for_scorers_of_images) {
    const auto said = [](const std::function<void(Variant&)>& change) {
        Variant variant = scorer();
        change(variant);
        return refusal([&] { require_takes_pictures(variant, "in.png"); });
    };
    const std::string of_rows = ": give a .npy file of rows";
    require_takes_pictures(scorer(), "in.png");
    equal(said([](Variant& it) {
              it.inputs[0].kind = Kind::vector;
              it.inputs[0].shape = {*read_size("batch", true), fixed_size(3)};
          }),
          "in.png: this scorer takes vector [batch, 3]" + of_rows);
    equal(said([](Variant& it) { it.inputs[0].shape[1] = fixed_size(5); }),
          "in.png: this scorer takes image [batch, 5, height, width]" + of_rows);
    equal(said([](Variant& it) { it.inputs[0].range.reset(); }),
          "in.png: this scorer takes image [batch, 1, height, width] of any range" + of_rows);
    Variant pixels = scorer();
    pixels.inputs[0].range.reset();
    pixels.inputs[0].dtype = DType::uint8;
    require_takes_pictures(pixels, "in.png");
}

TEST(what_cannot_be_scored_is_refused_before_the_graph_is_opened) {
    Bundle bundle = bundle_of(scorer());
    const auto said = [&](const Tensor& x) { return refusal([&] { bundle.score(x); }); };
    equal(said(Tensor(DType::float32, {8, 8})),
          "scorer: x: expected float32 [batch, 1, height, width], got float32 [8, 8]");
    equal(said(Tensor(DType::float32, {0, 1, 8, 8})),
          "scorer: x: batch: expected a size of at least 1, got 0: the nearest is 1");
    equal(said(rows(NAN)), "scorer: x: expected finite values, got NaN or infinity");
    yes(said(rows(3)).find("no folder/denoiser.onnx is missing") == 0, "beyond the range");
    equal(refusal([&] { bundle.score(rows(0), "p98"); }),
          "threshold: expected p95, p99 or a number, got p98");
    equal(refusal([&] { bundle.score(rows(0), INFINITY); }),
          "threshold: expected a finite number, got inf");
    equal(refusal([&] { bundle.score(rows(0), 1, 3); }), "this scorer takes no --label");
    equal(refusal([&] { score_files(bundle, {"."}, 1, std::nullopt); }),
          ". is a folder: name the pictures in it, such as ./*.png");
    equal(refusal([&] { score_files(bundle, {"no file.npy"}, 1, std::nullopt); }),
          "no file.npy does not exist");

    Variant variant = scorer();
    variant.inputs[0].missing = true;
    variant.inputs.push_back(label());
    Bundle of_class = bundle_of(variant);
    equal(refusal([&] { of_class.score(rows(0)); }), "this scorer needs --label, 0 to 9");
    equal(refusal([&] { of_class.score(rows(0), "p99", 10); }),
          "--label: expected a whole number from 0 to 9, got 10");
    yes(refusal([&] { of_class.score(rows(NAN), "p99", 9); }).find("is missing") !=
            std::string::npos,
        "values may be missing");
}

TEST(a_row_without_any_value_is_refused) {
    Variant variant = scorer();
    TensorSpec& x = variant.inputs[0];
    x.missing = true;
    x.kind = Kind::signal;  // windows of two columns
    x.shape = {*read_size("batch", true), fixed_size(2), fixed_size(3)};
    const auto said = [&](Shape shape, std::size_t there) {
        Tensor rows(DType::float32, std::move(shape));
        std::fill_n(rows.values<float>(), rows.bytes.size() / 4, NAN);
        rows.values<float>()[there] = 7;
        Bundle bundle = bundle_of(variant);
        return refusal([&] { bundle.score(rows); });
    };
    const std::string none = "scorer: x: expected a value in each row, got none in row ";
    const std::string scored = "no folder/denoiser.onnx is missing";
    equal(said({3, 2, 3}, 5), none + "1: remove it");
    equal(said({2, 2, 3}, 6), none + "0: remove it");
    equal(said({1, 2, 3}, 5).find(scored), 0U, "one value is enough");
    x.kind = Kind::other;
    x.shape = {*read_size("batch", true)};
    equal(said({2}, 0).find(scored), 0U, "a row is one value");
}

TEST(a_table_is_quoted_where_it_must) {
    const double unknown = NAN;
    Table table;
    table.names = {"a.png", "b,c.png", "say \"x\".png", "two\nlines", "\x1b[31m"};
    table.rows.scores = {0.1f, 1e20f, INFINITY, -NAN, -INFINITY};
    table.rows.percentiles = {0, 100, 12.34567891, unknown, unknown};
    table.rows.odd = {false, true, true, false, false};
    equal(csv_of(table),
          "name,score,percentile,verdict\n"
          "a.png,0.100000001,0,normal\n"
          "\"b,c.png\",1.00000002e+20,100,odd\n"
          "\"say \"\"x\"\".png\",inf,12.3457,odd\n"
          "\"two\nlines\",nan,,normal\n"
          "\x1b[31m,-inf,,normal\n");
    const std::string shown = printable_csv_of(table);
    yes(shown.find("\ntwo\\x0alines,nan,,normal\n\\x1b[31m,-inf") != std::string::npos, shown);
}
