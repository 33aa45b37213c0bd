// Files: read only where they are regular ones, written whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aeonnx {

// The content of a regular file, or of one that a link leads to; nothing if there is none. A pipe
// or a device is never waited for. `accept` gets the size before anything is read, and throws
// where that is wrong.
// Throws Error 1: it is no regular file, or cannot be read.
std::optional<std::vector<std::byte>> read_file(const std::filesystem::path& path,
                                                const std::function<void(std::uint64_t)>& accept);

// Whether a regular file begins with a text. Throws Error 1: as `read_file`, or it is missing.
bool begins_with(const std::filesystem::path& path, std::string_view text);

// Refuses a size of `path` above `most`, as an `accept` of read_file.
std::function<void(std::uint64_t)> at_most(const std::filesystem::path& path, std::uint64_t most);

// Throws Error 1: nothing can be written at `path`, or a file is there and `force` is not set.
void require_writable(const std::filesystem::path& path, bool force);

// Write a file whole or not at all; a link stays, and what it leads to is written. A file that was
// there keeps its mode. Pipes and devices are written through, whatever `force` says.
// Throws Error 1: as require_writable, or it failed.
void write_file(const std::filesystem::path& path, const std::string& data, bool force);

}  // namespace aeonnx
