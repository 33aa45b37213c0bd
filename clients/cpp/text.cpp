#include "text.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace aeonnx {
namespace {

struct Character {
    std::uint32_t code;
    std::size_t bytes;  // 0: these are not UTF-8
};

Character character_at(std::string_view text, std::size_t at) {
    constexpr std::array<std::uint32_t, 5> least = {0, 0, 0x80, 0x800, 0x10000};
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
    const std::uint32_t first = byte(0);
    if (first < 0x80) return {first, 1};
    const std::size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    std::uint32_t code = first & (0xFFU >> (bytes + 1));
    if (first < 0xC0 || first >= 0xF8 || bytes > text.size() - at) return {0, 0};
    for (std::size_t i = 1; i < bytes; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U) return {0, 0};
        code = (code << 6) | (byte(i) & 0x3FU);
    }
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    if (code < least[bytes] || code > 0x10FFFF || surrogate) return {0, 0};
    return {code, bytes};
}

bool is_control(std::uint32_t code) { return code < 0x20 || (code >= 0x7F && code < 0xA0); }

// Whether a character changes the order in which others are shown, or ends a line.
bool turns(std::uint32_t code) {
    return code == 0x200E || code == 0x200F || (code >= 0x2028 && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069);
}

std::string escaped(std::uint32_t code) {
    const int digits = code > 0xFF ? 4 : 2;
    std::string text = digits == 4 ? "\\u" : "\\x";
    for (int i = digits; i-- > 0;) text += "0123456789abcdef"[code >> (4 * i) & 15U];
    return text;
}

}  // namespace

bool is_text(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        const auto [code, bytes] = character_at(text, at);
        if (bytes == 0 || is_control(code)) return false;
        at += bytes;
    }
    return true;
}

std::string printable(std::string_view text) {
    std::string shown;
    for (std::size_t at = 0; at < text.size();) {
        const auto [code, bytes] = character_at(text, at);
        if (bytes == 0) {
            shown += escaped(static_cast<unsigned char>(text[at]));
        } else {
            const bool acts = is_control(code) || turns(code);
            shown += acts ? escaped(code) : std::string(text.substr(at, bytes));
        }
        at += bytes ? bytes : 1;
    }
    return shown;
}

}  // namespace aeonnx
