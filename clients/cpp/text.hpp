// Text to show: errors, and texts without characters that change a terminal.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace aeonnx {

// Whether it is UTF-8 without control characters (U+0000 to U+001F, U+007F to U+009F).
bool is_text(std::string_view text);

// The text with its control characters, and bytes that are not UTF-8, written as \xNN: a terminal
// would obey some of them. So are, as \uNNNN, characters that change the order of what is shown.
std::string printable(std::string_view text);

// Every failure of this library: one line to show, and the exit code.
struct Error : std::runtime_error {
    Error(int code, std::string_view text) : std::runtime_error(printable(text)), exit_code(code) {}
    int exit_code;  // 1 failed, 2 usage, 4 the machine lacks something
};

}  // namespace aeonnx
