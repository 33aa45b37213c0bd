#include "words.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <system_error>

#include "text.hpp"

namespace aeonnx {

bool flag(Words& words, const std::string& name) {
    const auto rest = std::remove(words.begin(), words.end(), name);
    const bool found = rest != words.end();
    words.erase(rest, words.end());
    return found;
}

std::optional<std::string> option(Words& words, const std::string& name) {
    const auto found = std::find(words.begin(), words.end(), name);
    if (found == words.end()) return std::nullopt;
    if (found + 1 == words.end()) throw Error(2, name + ": expected a value");
    const std::string value = *(found + 1);
    words.erase(found, found + 2);
    if (std::count(words.begin(), words.end(), name)) throw Error(2, name + " is there twice");
    return value;
}

std::optional<std::int64_t> number_option(Words& words, const std::string& name,
                                          std::int64_t lowest) {
    const auto text = option(words, name);
    if (!text) return std::nullopt;
    std::int64_t value = 0;
    const char* const end = text->data() + text->size();
    const auto [stopped, failed] = std::from_chars(text->data(), end, value);
    if (failed != std::errc() || stopped != end || value < lowest) {
        throw Error(2, name + ": expected a whole number from " + std::to_string(lowest) + " to " +
                           std::to_string(std::numeric_limits<std::int64_t>::max()) + ", got " +
                           *text);
    }
    return value;
}

std::optional<Shape> size_option(Words& words, const std::string& name) {
    const auto text = option(words, name);
    if (!text) return std::nullopt;
    Shape size;
    const char* at = text->data();
    const char* const end = at + text->size();
    bool good = true, more = true;
    while (good && more) {
        std::int64_t number = 0;
        const auto [stopped, failed] = std::from_chars(at, end, number);
        more = stopped != end;
        good = failed == std::errc() && *at != '-' && (!more || *stopped == 'x');
        at = stopped + more;
        size.push_back(number);
    }
    if (good && size.size() > 1) return size;
    throw Error(2, name + ": expected HEIGHTxWIDTH, such as 64x48, got " + *text);
}

void require_no_options(const Words& words) {
    const auto is_option = [](const std::string& word) { return word.rfind("-", 0) == 0; };
    const auto option = std::find_if(words.begin(), words.end(), is_option);
    if (option != words.end()) throw Error(2, "there is no option " + *option);
}

void require_words(const Words& words, std::size_t count, const char* what) {
    require_no_options(words);
    if (words.size() != count) throw Error(2, std::string("expected ") + what);
}

std::map<std::string, std::string> files_in(const Words& words, std::size_t from) {
    std::map<std::string, std::string> files;
    for (std::size_t i = from; i < words.size(); ++i) {
        const std::size_t end = words[i].find('=');
        if (end == 0 || end == std::string::npos || end + 1 == words[i].size()) {
            throw Error(2, "expected NAME=FILE, got " + words[i]);
        }
        const std::string name = words[i].substr(0, end);
        if (!files.emplace(name, words[i].substr(end + 1)).second) {
            throw Error(2, name + "=FILE is there twice");
        }
    }
    return files;
}

}  // namespace aeonnx
