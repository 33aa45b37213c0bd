// A part on arrays of .npy files.
#pragma once

#include <map>
#include <string>

#include "bundle.hpp"

namespace aeonnx {

using Files = std::map<std::string, std::string>;  // by the name of an input or output

// Read all inputs of a part, run its fp32 graph, and write the outputs that are named.
// Throws Error 2: a name is none of the part's, or one is missing; Error 1: as `Part::run`, or a
// value is not finite or outside its range, or a file cannot be read or written.
void run_files(Bundle& bundle, const std::string& part, const Files& files, bool force);

}  // namespace aeonnx
