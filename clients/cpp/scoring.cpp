#include "scoring.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <locale>
#include <optional>
#include <sstream>
#include <utility>

#include "bundle.hpp"
#include "inputs.hpp"
#include "needs.hpp"

namespace aeonnx {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

// With a point in every locale.
std::optional<double> number_in(const std::string& text) {
    std::istringstream stream(text);
    stream.imbue(std::locale::classic());
    double number = 0;
    const bool read = static_cast<bool>(stream >> std::noskipws >> number);
    if (!read || !stream.eof() || !std::isfinite(number)) return std::nullopt;
    return number;
}

// "p" and digits.
bool is_name(const std::string& text) {
    return text.size() > 1 && text[0] == 'p' &&
           text.find_first_not_of("0123456789", 1) == std::string::npos;
}

// Throws Error 1: a row has no value at all, so that its score would say nothing.
void require_some_values(const TensorSpec& input, const Tensor& rows) {
    if (!input.missing || rows.shape.size() < 2) return;
    const std::int64_t count = rows.shape.front();
    const auto size = static_cast<std::ptrdiff_t>(count_of(rows.shape)) / count;
    const float* row = rows.values<float>();
    for (std::int64_t i = 0; i < count; ++i, row += size) {
        if (!std::all_of(row, row + size, [](float value) { return std::isnan(value); })) continue;
        throw Error(1, "scorer: " + input.name + ": expected a value in each row, got none in row " +
                           std::to_string(i) + ": remove it");
    }
}

}  // namespace

double threshold_of(const Variant& scorer, const std::string& text) {
    if (const auto number = number_in(text)) return *number;
    const auto known = scorer.percentiles.find(score_of(scorer)->name);
    std::string names;
    if (known != scorer.percentiles.end()) {
        for (const auto& [name, score] : known->second) {
            if (name == text) return score;
            names += (names.empty() ? "" : ", ") + name;
        }
    }
    if (names.empty() && is_name(text)) {
        throw Error(1, "threshold " + text +
                           ": the manifest says nothing about the scores of normal images: give a "
                           "number, or export again with --calibration IMAGES");
    }
    throw Error(2, "threshold: expected " + names + (names.empty() ? "" : " or ") +
                       "a number, got " + text);
}

double percentile_of(const Quantiles& normal, float found) {
    const auto score = static_cast<double>(found);
    const auto place = std::lower_bound(normal.begin(), normal.end(), score);
    if (place == normal.begin()) return 0;
    if (place == normal.end()) return 100;
    const double low = *(place - 1), high = *place;
    return static_cast<double>(place - normal.begin() - 1) + (score - low) / (high - low);
}

Scored Bundle::score(Tensor x, const std::string& threshold, std::optional<std::int64_t> label) {
    require("score");
    return score(std::move(x), threshold_of(variant("scorer", "fp32"), threshold), label);
}

Scored Bundle::score(Tensor x, double threshold, std::optional<std::int64_t> label) {
    require("score");
    const Variant& scorer = variant("scorer", "fp32");
    require_label("scorer", scorer, label);
    if (!std::isfinite(threshold)) {
        throw Error(2, "threshold: expected a finite number, got " + std::to_string(threshold));
    }
    TensorSpec input = scorer.inputs.front();
    input.range.reset();  // what is far from the training is to be found
    Tensors inputs;
    if (label) {
        Tensor labels(DType::int64, {x.shape.empty() ? 1 : x.shape.front()});
        std::fill_n(labels.values<std::int64_t>(), count_of(labels.shape), *label);
        inputs.emplace(of_kind(scorer, Kind::label)->name, std::move(labels));
    }
    const Tensor& rows = inputs.emplace(input.name, std::move(x)).first->second;
    sizes_in("scorer", scorer, inputs);  // a wrong shape is said before a wrong value
    require_values("scorer", input, rows);
    require_some_values(input, rows);

    const std::string& output = score_of(scorer)->name;
    const Tensors outputs = part("scorer").run(inputs);
    const float* const scores = outputs.at(output).values<float>();
    const auto normal = scorer.normal.find(output);
    const auto limit = static_cast<float>(threshold);  // so that the text of a score is that score
    Scored found{{scores, scores + rows.shape.front()}, {}, {}, threshold};
    for (float& score : found.scores) {
        // Of a network that overflows: NaN would be above no threshold.
        if (std::isnan(score)) score = std::numeric_limits<float>::infinity();
        found.percentiles.push_back(
            normal == scorer.normal.end() ? unknown : percentile_of(normal->second, score));
        found.odd.push_back(score > limit);
    }
    return found;
}

}  // namespace aeonnx
