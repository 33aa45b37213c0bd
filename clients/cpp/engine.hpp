// The onnxruntime that this process loads.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <array>
#include <optional>
#include <string>

namespace aeonnx {

// Loads the library at the first call: the one that ORT_DYLIB_PATH names, else the one beside the
// program, else the system's. Throws Error 4: there is none, or it is older than the headers or
// than 1.24.1: older ones open any file that a graph names as its weights.
Ort::Env& environment();

// Its release, such as "1.31.1". Throws as `environment`.
std::string engine_version();

// "1.31" -> {1, 31, 0}; nothing where that is no release.
std::optional<std::array<int, 3>> release_of(const std::string& version);

}  // namespace aeonnx
