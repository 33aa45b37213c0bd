// The words of a command line. All throw Error 2: a word is none that may stand there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "axes.hpp"

namespace aeonnx {

using Words = std::vector<std::string>;

// Whether a word is there; it is taken out.
bool flag(Words& words, const std::string& name);

// The word after an option; both are taken out. Nothing if the option is not there.
std::optional<std::string> option(Words& words, const std::string& name);

// The same as a whole number, and as two numbers or more: "64x48" -> {64, 48}.
std::optional<std::int64_t> number_option(Words& words, const std::string& name,
                                          std::int64_t lowest);
std::optional<Shape> size_option(Words& words, const std::string& name);

// What is left has no options, and as many words as `what` names.
void require_no_options(const Words& words);
void require_words(const Words& words, std::size_t count, const char* what);

// NAME=FILE words from one on: the files by the names of tensors.
std::map<std::string, std::string> files_in(const Words& words, std::size_t from);

}  // namespace aeonnx
