// The onnxruntime that this process loads.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <string>

namespace aeonnx {

// Loads the library at the first call: the one that ORT_DYLIB_PATH names, else the one beside the
// program, else the system's. Throws Error 4: there is none, or it is older than the headers.
Ort::Env& environment();

// Its release, such as "1.31.1". Throws as `environment`.
std::string engine_version();

}  // namespace aeonnx
