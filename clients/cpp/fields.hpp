// Fields of a JSON document, each checked where it is read.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace aeonnx {

using nlohmann::json;

// `path` is the field's place in the document, such as "parts.decoder.fp32". All throw
// std::runtime_error: the path, what was expected, and what came.

[[noreturn]] void refuse(const std::string& path, const std::string& expected,
                         const std::string& got);

std::string shown(const json& value);  // short: a list is "a list"

const json& object_at(const json& value, const std::string& path);  // itself
const json& field(const json& object, const std::string& path, const char* name);
std::string text_at(const json& value, const std::string& path);
double number_at(const json& value, const std::string& path);  // finite

// true or false; false where an object has no such field.
bool flag_in(const json& object, const std::string& path, const char* name);

// A whole number from `least` to 2^53 - 1.
std::int64_t whole_at(const json& value, const std::string& path, std::int64_t least);

// A lower-case name; `others` are characters that it may hold beside letters and digits.
std::string name_at(const std::string& name, const std::string& path, const char* others);
std::string digest_at(const json& value, const std::string& path);  // 64 hex digits
std::string file_at(const json& value, const std::string& path);    // a path inside the bundle

}  // namespace aeonnx
