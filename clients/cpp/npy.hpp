// Arrays in .npy files, as numpy writes them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tensor.hpp"

namespace aeonnx {

constexpr std::string_view npy_magic = "\x93NUMPY";  // the first bytes of such a file

// An array of a .npy file of the format 1.0 to 3.0: C or Fortran order, little-endian, of a type
// that a tensor may have. `name` is the file's in messages.
// Throws Error 1: the bytes are none; with the reason.
Tensor parse_npy(std::vector<std::byte> data, const std::string& name);

// The same of a regular file. Throws Error 1: it is missing, too.
Tensor read_npy(const std::filesystem::path& path);

// The content of a .npy file of the format 1.0, in C order.
std::string npy_of(const Tensor& tensor);

}  // namespace aeonnx
