// What is in a graph's file, before an engine sees it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace aeonnx {

// Walks the bytes as the protobuf message that an ONNX file is. `file` is its name in messages.
// Throws Error 1: they hold what a bundle never holds (subgraphs, functions, operators of other
// domains, weights in other files), or are no such message.
void require_plain_graph(const std::string& file, const std::vector<std::byte>& data);

}  // namespace aeonnx
