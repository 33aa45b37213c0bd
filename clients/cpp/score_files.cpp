#include "score_files.hpp"

#include <cmath>
#include <filesystem>
#include <locale>
#include <sstream>
#include <utility>

#include "files.hpp"
#include "inputs.hpp"
#include "needs.hpp"
#include "npy.hpp"
#include "picture.hpp"

namespace aeonnx {
namespace {

namespace fs = std::filesystem;

constexpr int score_digits = 9, percentile_digits = 6;  // 9 tell neighbouring float32 apart

Tensor picture_in(const std::string& file, const Variant& scorer) {
    require_takes_pictures(scorer, file);
    Tensor pixels = read_picture(file, frame_of("scorer", "score", scorer));
    pixels.shape.insert(pixels.shape.begin(), 1);
    return as_input(std::move(pixels), scorer.inputs.front());
}

void require_no_folder(const std::string& file, const TensorSpec& input) {
    std::error_code failed;
    if (!fs::is_directory(file, failed)) return;
    const bool images = input.kind == Kind::image;
    throw Error(1, file + " is a folder: name the " + (images ? "pictures" : "arrays") +
                       " in it, such as " +
                       (fs::path(file) / (images ? "*.png" : "*.npy")).string());
}

template <typename Values>
void append(Values& all, const Values& more) {
    all.insert(all.end(), more.begin(), more.end());
}

// A number as other programs read it: with a point in every locale, and "nan" without a sign.
std::string number(double value, int digits) {
    if (std::isnan(value)) return "nan";
    std::ostringstream text;
    text.imbue(std::locale::classic());
    text.precision(digits);
    text << value;
    return text.str();
}

// A cell of a table, as RFC 4180 has it.
std::string cell(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + "\"";
}

}  // namespace

Table score_files(Bundle& bundle, const std::vector<std::string>& files, double threshold,
                  std::optional<std::int64_t> label) {
    const Variant& scorer = bundle.variant("scorer", "fp32");
    Table table;
    table.rows.threshold = threshold;
    for (const std::string& file : files) {
        const TensorSpec& input = scorer.inputs.front();
        require_no_folder(file, input);
        const bool array = begins_with(file, npy_magic);
        Tensor x = array ? converted(read_npy(file), input.dtype) : picture_in(file, scorer);
        const Scored found = bundle.score(std::move(x), threshold, label);
        for (std::size_t row = 0; row < found.scores.size(); ++row) {
            const std::string of_file = files.size() == 1 ? "" : file + ":";
            table.names.push_back(array ? of_file + std::to_string(row) : file);
        }
        append(table.rows.scores, found.scores);
        append(table.rows.percentiles, found.percentiles);
        append(table.rows.odd, found.odd);
    }
    return table;
}

std::string csv_of(const Table& table) {
    std::string text = "name,score,percentile,verdict\n";
    for (std::size_t i = 0; i < table.names.size(); ++i) {
        const auto score = static_cast<double>(table.rows.scores[i]);
        const double percentile = table.rows.percentiles[i];
        text += cell(table.names[i]) + "," + number(score, score_digits) + ",";
        text += std::isnan(percentile) ? "" : number(percentile, percentile_digits);
        text += table.rows.odd[i] ? ",odd\n" : ",normal\n";
    }
    return text;
}

std::string printable_csv_of(const Table& table) {
    Table shown = table;
    for (std::string& name : shown.names) name = printable(name);
    return csv_of(shown);
}

}  // namespace aeonnx
