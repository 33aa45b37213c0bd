// Scores of pictures and of rows of .npy files, as a table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bundle.hpp"

namespace aeonnx {

struct Table {
    std::vector<std::string> names;  // of the rows: files, or numbers of rows of a file
    Scored rows;
};

// Score pictures one at a time, and arrays of rows: what a file is, is told by its content. The
// scorer is checked by `Bundle::require`; `threshold` and `label` are as of `Bundle::score`.
// Throws Error 1: as `Bundle::score`, `read_picture` and `read_npy`, or a file is a folder, or a
// picture, which the scorer does not take.
Table score_files(Bundle& bundle, const std::vector<std::string>& files, double threshold,
                  std::optional<std::int64_t> label);

// name,score,percentile,verdict: the lines of a .csv file.
std::string csv_of(const Table& table);

// The same for a terminal: names without characters that change it.
std::string printable_csv_of(const Table& table);

}  // namespace aeonnx
