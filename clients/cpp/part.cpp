#include <algorithm>

#include "bundle.hpp"
#include "engine.hpp"
#include "graph.hpp"
#include "inputs.hpp"
#include "tiles.hpp"

namespace aeonnx {
namespace {

// Where weights in other files would be looked for: in no folder.
#ifdef _WIN32
constexpr const char* nowhere = "NUL";
#else
constexpr const char* nowhere = "/dev/null";
#endif

ONNXTensorElementDataType element_of(DType dtype) {
    switch (dtype) {
        case DType::float32:
            return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
        case DType::uint8:
            return ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
        case DType::int64:
            return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
        case DType::float16:
            return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
        case DType::int32:
            return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
        case DType::boolean:
            return ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL;
        default:
            return ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE;
    }
}

std::string one_line(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

// "float32 [batch, 1, 28, 28]", of what the engine says.
template <typename AnyShape>
std::string described(ONNXTensorElementDataType element, const AnyShape& shape) {
    for (DType dtype : {DType::float32, DType::uint8, DType::int64, DType::float16, DType::float64,
                        DType::int32, DType::boolean}) {
        if (element_of(dtype) == element) return describe(dtype, shape);
    }
    return "another type";
}

// The sizes that a graph declares, by number or by name.
Layout layout_of(const Ort::ConstTensorTypeAndShapeInfo& tensor) {
    const Shape numbers = tensor.GetShape();
    std::vector<const char*> names(numbers.size(), "");
    tensor.GetSymbolicDimensions(names.data(), names.size());
    Layout layout;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const std::string name = names[i];
        layout.push_back(numbers[i] >= 0 ? fixed_size(numbers[i]) : Extent{name, name});
        if (layout.back().text.empty()) layout.back().text = "?";
    }
    return layout;
}

std::string described(const Ort::TypeInfo& info) {
    if (info.GetONNXType() != ONNX_TYPE_TENSOR) return "no tensor";
    const auto tensor = info.GetTensorTypeAndShapeInfo();
    return described(tensor.GetElementType(), layout_of(tensor));
}

// A copy of what the graph gave, once it is what the manifest says.
Tensor answer_of(const std::string& file, const TensorSpec& spec, const Shape& expected,
                 const Ort::Value& value) {
    std::string got = "no tensor";
    if (value.IsTensor()) {
        const auto info = value.GetTensorTypeAndShapeInfo();
        got = described(info.GetElementType(), info.GetShape());
    }
    if (got != describe(spec.dtype, expected)) {
        throw Error(1, file + " gave " + spec.name + " " + got + ", expected " +
                           describe(spec.dtype, expected) + ": export the bundle again");
    }
    Tensor answer(spec.dtype, expected);
    const auto* data = static_cast<const std::byte*>(value.GetTensorRawData());
    std::copy_n(data, answer.bytes.size(), answer.bytes.begin());
    return answer;
}

}  // namespace

Part::Part(const std::string& name, const Variant& graph, const std::vector<std::byte>& data)
    : variant(graph), name_(name) {
    require_plain_graph(variant.file, data);
    Ort::Env& env = environment();
    try {
        Ort::SessionOptions options;
        options.SetIntraOpNumThreads(1);  // at batch 1 these graphs are too small for more
        options.AddConfigEntry("session.model_external_initializers_file_folder_path", nowhere);
        // Not the engine's own format, which could lie in the same bytes.
        options.AddConfigEntry("session.load_model_format", "ONNX");
        session_.emplace(env, data.data(), data.size(), options);
        require_interface();
    } catch (const Ort::Exception& error) {
        throw Error(1, variant.file + " cannot be opened: " + one_line(error.what()));
    }
}

void Part::require_interface() const {
    Ort::AllocatorWithDefaultOptions allocator;
    const auto require = [&](const char* kind, const std::vector<TensorSpec>& specs,
                             std::size_t count, auto name_at, auto type_at) {
        for (std::size_t i = 0; i < std::max(count, specs.size()); ++i) {
            const std::string expected = i < specs.size() ? describe(specs[i]) : "nothing";
            const std::string got =
                i < count ? name_at(i) + " " + described(type_at(i)) : "nothing";
            if (expected != got) {
                throw Error(1, variant.file + ": expected " + kind + " " + expected +
                                   ", the graph has " + got);
            }
        }
    };
    require(
        "input", variant.inputs, session_->GetInputCount(),
        [&](std::size_t i) {
            return std::string(session_->GetInputNameAllocated(i, allocator).get());
        },
        [&](std::size_t i) { return session_->GetInputTypeInfo(i); });
    require(
        "output", variant.outputs, session_->GetOutputCount(),
        [&](std::size_t i) {
            return std::string(session_->GetOutputNameAllocated(i, allocator).get());
        },
        [&](std::size_t i) { return session_->GetOutputTypeInfo(i); });
}

// So many rows at once that a graph of any sizes takes no more memory than it must.
std::int64_t Part::rows_at_once(const Sizes& sizes) const {
    if (variant.fixed_rows()) return *variant.fixed_rows();
    const bool sized = variant.axes.size() > variant.axes.count(batch);
    const std::int64_t row = std::max<std::int64_t>(values_of_row(variant, sizes), 1);
    return sized ? std::max<std::int64_t>(many_values / row, 1) : sizes.at(batch);
}

Tensors Part::run(const Tensors& inputs) {
    Sizes sizes = sizes_in(name_, variant, inputs);
    for (const TensorSpec& spec : variant.inputs) {
        if (takes_numbers(spec)) require_values(name_, spec, inputs.at(spec.name));
    }
    const std::int64_t rows = sizes.at(batch), most = rows_at_once(sizes);
    Tensors answers;
    for (std::int64_t first = 0; first < rows; first += most) {
        // A fixed batch is filled up with the last row.
        const std::int64_t kept = std::min(most, rows - first);
        sizes[batch] = variant.fixed_rows().value_or(kept);
        const bool whole = first == 0 && sizes[batch] == rows;
        if (whole) return run_rows(inputs, sizes);
        const Tensors found = run_rows(rows_of(variant, inputs, first, sizes[batch]), sizes);
        for (const auto& [name, tensor] : found) {
            Shape shape = tensor.shape;
            shape[0] = rows;
            Tensor& answer =
                answers.try_emplace(name, first ? Tensor() : Tensor(tensor.dtype, shape))
                    .first->second;
            const std::size_t row = tensor.bytes.size() / static_cast<std::size_t>(tensor.shape[0]);
            std::copy_n(tensor.bytes.begin(), static_cast<std::ptrdiff_t>(row) * kept,
                        answer.bytes.begin() + static_cast<std::ptrdiff_t>(row) * first);
        }
    }
    return answers;
}

Tensors Part::run_rows(const Tensors& inputs, const Sizes& sizes) {
    if (!runs_in_tiles(variant, sizes)) return run_once(inputs, sizes);
    Tensors whole;
    each_tile(variant, sizes, [&](const Tile& tile) {
        Tensors taken;
        for (const TensorSpec& spec : variant.inputs) {
            const Tensor& input = inputs.at(spec.name);
            taken.emplace(spec.name, cut(input, inputs_of(spec.shape, input.shape, tile)));
        }
        Sizes of_tile = sizes;
        for (const auto& [axis, piece] : tile) of_tile[axis] = piece.last - piece.first;
        const Tensors found = run_once(taken, of_tile);
        for (const TensorSpec& spec : variant.outputs) {
            // Memory for all tiles only once the first is what the manifest says.
            if (!whole.count(spec.name)) {
                whole.emplace(spec.name, Tensor(spec.dtype, shape_at(spec.shape, sizes)));
            }
            paste_tile(spec.shape, found.at(spec.name), tile, whole.at(spec.name));
        }
    });
    return whole;
}

Tensors Part::run_once(const Tensors& inputs, const Sizes& sizes) {
    std::vector<const char*> taken, given;
    std::vector<Ort::Value> values;
    Tensors answers;
    try {
        const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
        for (const TensorSpec& spec : variant.inputs) {
            const Tensor& tensor = inputs.at(spec.name);
            taken.push_back(spec.name.c_str());
            values.push_back(Ort::Value::CreateTensor(
                memory, const_cast<std::byte*>(tensor.bytes.data()), tensor.bytes.size(),
                tensor.shape.data(), tensor.shape.size(), element_of(tensor.dtype)));
        }
        for (const TensorSpec& spec : variant.outputs) given.push_back(spec.name.c_str());
        const auto found = session_->Run(Ort::RunOptions{nullptr}, taken.data(), values.data(),
                                         values.size(), given.data(), given.size());
        for (std::size_t i = 0; i < found.size(); ++i) {
            const TensorSpec& spec = variant.outputs[i];
            answers.emplace(spec.name,
                            answer_of(variant.file, spec, shape_at(spec.shape, sizes), found[i]));
        }
    } catch (const Ort::Exception& error) {
        throw Error(1, variant.file + " failed: " + one_line(error.what()));
    }
    return answers;
}

}  // namespace aeonnx
