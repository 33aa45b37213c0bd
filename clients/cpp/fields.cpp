#include "fields.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <stdexcept>
#include <string_view>

#include "axes.hpp"
#include "text.hpp"

namespace aeonnx {

// Objects are not quoted: they can be as long and as deep as the file.
std::string shown(const json& value) {
    if (value.is_structured()) return value.is_array() ? "a list" : "an object";
    const std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
    return text.size() > 80 ? text.substr(0, 80) + "..." : text;
}

void refuse(const std::string& path, const std::string& expected, const std::string& got) {
    throw std::runtime_error(path + ": expected " + expected + ", got " + got);
}

const json& object_at(const json& value, const std::string& path) {
    if (!value.is_object()) refuse(path.empty() ? "the manifest" : path, "an object", shown(value));
    return value;
}

const json& field(const json& object, const std::string& path, const char* name) {
    const auto found = object_at(object, path).find(name);
    if (found == object.end())
        refuse(path + (path.empty() ? "" : ".") + name, "a value", "nothing");
    return *found;
}

std::string text_at(const json& value, const std::string& path) {
    if (!value.is_string()) refuse(path, "a string", shown(value));
    const std::string text = value.get<std::string>();
    if (!is_text(text)) refuse(path, "a text without control characters", shown(value));
    return text;
}

double number_at(const json& value, const std::string& path) {
    if (!value.is_number() || !std::isfinite(value.get<double>())) {
        refuse(path, "a finite number", shown(value));
    }
    return value.get<double>();
}

bool flag_in(const json& object, const std::string& path, const char* name) {
    const auto found = object.find(name);
    if (found == object.end()) return false;
    if (!found->is_boolean()) refuse(path + "." + name, "true or false", shown(*found));
    return found->get<bool>();
}

std::int64_t whole_at(const json& value, const std::string& path, std::int64_t least) {
    const bool whole = value.is_number_integer();
    const bool small =
        !value.is_number_unsigned() || value.get<std::uint64_t>() <= std::uint64_t{largest_size};
    if (!whole || !small || value.get<std::int64_t>() < least) {
        refuse(path, "a whole number from " + std::to_string(least) + " to 2^53 - 1", shown(value));
    }
    return value.get<std::int64_t>();
}

std::string name_at(const std::string& name, const std::string& path, const char* others) {
    const auto known = [others](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               std::string_view(others).find(c) != std::string_view::npos;
    };
    const bool good = !name.empty() && name[0] >= 'a' && name[0] <= 'z' &&
                      std::all_of(name.begin(), name.end(), known);
    if (!good) refuse(path, "a lower-case name", shown(name));
    return name;
}

std::string digest_at(const json& value, const std::string& path) {
    const std::string digest = text_at(value, path);
    const bool good =
        digest.size() == 64 && digest.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!good) refuse(path, "64 hex digits", shown(value));
    return digest;
}

std::string file_at(const json& value, const std::string& path) {
    const std::string file = text_at(value, path);
    // A root is also a drive, where files have that.
    bool good =
        file.find('\\') == std::string::npos && !std::filesystem::path(file).has_root_path();
    for (std::size_t start = 0; good && start <= file.size();) {
        const std::size_t end = std::min(file.find('/', start), file.size());
        const std::string name = file.substr(start, end - start);
        good = !name.empty() && name != "." && name != "..";
        start = end + 1;
    }
    if (!good) refuse(path, "a path inside the bundle", shown(value));
    return file;
}

}  // namespace aeonnx
