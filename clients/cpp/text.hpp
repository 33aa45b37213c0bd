// Text for people: errors, and what of a text can be shown on a terminal.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace aeonnx {

// The text with its control characters (U+0000 to U+001F, U+007F to U+009F), and bytes that are not
// UTF-8, written as \xNN: a terminal would obey some of them.
std::string printable(std::string_view text);

// Every failure of this library: a line for people, and the code to leave a program with.
struct Error : std::runtime_error {
    Error(int code, std::string_view text) : std::runtime_error(printable(text)), exit_code(code) {}
    int exit_code;  // 1 failed, 2 usage, 4 the machine lacks something
};

}  // namespace aeonnx
