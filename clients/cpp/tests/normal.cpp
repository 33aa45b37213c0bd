#include "sample.hpp"
#include "testing.hpp"

using namespace aeonnx;
using nlohmann::json;

namespace {

// What is said of the manifest with another value at a place of the scorer.
std::string of(const std::string& place, const json& value) {
    const std::string at = "manifest.json: parts.denoiser.fp32.";
    json document = sample_scorer();
    part_of(document)[json::json_pointer(place)] = value;
    const std::string text = refusal([&] { parsed(document); });
    equal(text.substr(0, at.size()), at);
    return text.substr(at.size());
}

}  // namespace

TEST(a_manifest_says_what_normal_rows_score) {
    const Variant variant = variant_in(sample_scorer());
    equal(variant.percentiles.at("error").at("p95"), 190.5);
    equal(variant.normal.at("error")[100], 200);
    json document = sample_scorer();
    part_of(document).erase("normal");
    yes(variant_in(document).normal.empty(), "`normal` may be missing");
    part_of(document).erase("percentiles");
    equal(refusal([&] { parsed(document); }),
          "manifest.json: parts.denoiser.fp32.percentiles: expected a value, got nothing");
}

TEST(damaged_thresholds_are_refused) {
    equal(of("/percentiles", json::array()), "percentiles: expected an object, got a list");
    equal(of("/percentiles/z", {{"p99", 1}}),
          "percentiles: expected outputs of the graph, got \"z\"");
    equal(of("/percentiles/error", 1), "percentiles.error: expected an object, got 1");
    equal(of("/percentiles/error/p99", "1"),
          "percentiles.error.p99: expected a finite number, got \"1\"");
    equal(of("/percentiles/error/p99", nullptr),
          "percentiles.error.p99: expected a finite number, got null");
}

TEST(damaged_quantiles_are_refused) {
    const std::string place = "/normal/error/quantiles";
    const std::string expected = "normal.error.quantiles: expected 101 numbers in ascending order";
    json few = quantiles();
    few.erase(0);
    equal(of(place, few), expected + ", got a list of 100");
    equal(of(place, 5), expected + ", got 5");
    equal(of(place + "/7", 3), expected + ", got 3 behind 12");
    equal(of(place + "/7", "14"),
          "normal.error.quantiles[7]: expected a finite number, got \"14\"");
    equal(of("/normal/error", json::object()),
          "normal.error.quantiles: expected a value, got nothing");
    equal(of("/normal", nullptr), "normal: expected an object, got null");
    equal(of("/normal/y", {{"quantiles", quantiles()}}),
          "normal: expected outputs with percentiles, got \"y\"");
}
