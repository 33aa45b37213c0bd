#include <algorithm>

#include "bundle.hpp"
#include "engine.hpp"
#include "graph.hpp"
#include "needs.hpp"

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
        default:
            return ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE;
    }
}

std::string one_line(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

// "float32 [batch, 1, 28, 28]", of what the engine says.
std::string described(ONNXTensorElementDataType element, const Shape& shape) {
    for (DType dtype :
         {DType::float32, DType::uint8, DType::int64, DType::float16, DType::float64}) {
        if (element_of(dtype) == element) return describe(dtype, shape);
    }
    return "another type";
}

std::string described(const Ort::TypeInfo& info) {
    if (info.GetONNXType() != ONNX_TYPE_TENSOR) return "no tensor";
    const auto tensor = info.GetTensorTypeAndShapeInfo();
    return described(tensor.GetElementType(), tensor.GetShape());
}

// A copy of what the graph gave, once it is what the manifest says.
Tensor answer_of(const std::string& file, const TensorSpec& spec, std::int64_t rows,
                 const Ort::Value& value) {
    Shape expected = spec.shape;
    expected[0] = rows;
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

std::string named(const std::vector<TensorSpec>& specs) {
    std::string text;
    for (const TensorSpec& spec : specs) text += (text.empty() ? "" : ", ") + describe(spec);
    return text;
}

}  // namespace

Part::Part(const std::string& name, const Variant& graph, const std::vector<std::byte>& data)
    : variant(graph), name_(name) {
    require_rows(name, "run", variant);
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

std::int64_t Part::fixed_rows() const { return variant.outputs.front().shape.front(); }

std::int64_t Part::rows_in(const Tensors& inputs) const {
    std::int64_t rows = 0;
    for (const TensorSpec& spec : variant.inputs) {
        const auto found = inputs.find(spec.name);
        if (found == inputs.end() || inputs.size() != variant.inputs.size()) {
            throw Error(1, name_ + ": expected the inputs " + named(variant.inputs));
        }
        const Tensor& tensor = found->second;
        Shape expected = spec.shape;
        if (has_rows(spec) && !tensor.shape.empty()) {
            expected[0] = rows ? rows : std::max<std::int64_t>(tensor.shape[0], 1);
            rows = expected[0];
        }
        if (tensor.dtype != spec.dtype || tensor.shape != expected ||
            tensor.bytes.size() != count_of(expected) * width_of(spec.dtype)) {
            throw Error(1, name_ + ": expected " + describe(spec) + ", got " +
                               describe({spec.name, tensor.dtype, tensor.shape}));
        }
    }
    return rows;
}

Tensors Part::run(const Tensors& inputs) {
    const std::int64_t rows = rows_in(inputs), fixed = fixed_rows();
    if (fixed == batch) return run_once(inputs, rows);
    Tensors answers;
    for (std::int64_t first = 0; first < rows; first += fixed) {
        Tensors found = run_once(rows_of(variant, inputs, first, fixed), fixed);
        for (auto& [name, tensor] : found) {
            const Tensor kept = rows_of(tensor, 0, std::min(fixed, rows - first));
            Tensor& answer = answers.try_emplace(name, Tensor(tensor.dtype, {})).first->second;
            answer.shape = kept.shape;
            answer.shape[0] = first + kept.shape[0];
            if (first == 0) answer.bytes.clear();
            answer.bytes.insert(answer.bytes.end(), kept.bytes.begin(), kept.bytes.end());
        }
    }
    return answers;
}

Tensors Part::run_once(const Tensors& inputs, std::int64_t rows) {
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
            answers.emplace(spec.name, answer_of(variant.file, spec, rows, found[i]));
        }
    } catch (const Ort::Exception& error) {
        throw Error(1, variant.file + " failed: " + one_line(error.what()));
    }
    return answers;
}

}  // namespace aeonnx
