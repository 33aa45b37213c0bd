// What a score means, by the scores of normal rows that a manifest has.
#pragma once

#include <string>

#include "manifest.hpp"

namespace aeonnx {

// The number that a threshold of a scorer stands for: a finite number, or the name of a percentile
// in the manifest, such as p99.
// Throws Error 1: the manifest has no percentiles; Error 2: it is neither.
double threshold_of(const Variant& scorer, const std::string& text);

// The share of normal rows with a lower score, in %, from 0 to 100.
double percentile_of(const Quantiles& normal, float score);

}  // namespace aeonnx
