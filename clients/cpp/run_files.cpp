#include "run_files.hpp"

#include <algorithm>
#include <set>
#include <vector>

#include "files.hpp"
#include "inputs.hpp"
#include "npy.hpp"

namespace aeonnx {
namespace {

const TensorSpec* named(const std::vector<TensorSpec>& specs, const std::string& name) {
    const auto found = std::find_if(specs.begin(), specs.end(),
                                    [&](const auto& spec) { return spec.name == name; });
    return found == specs.end() ? nullptr : &*found;
}

// Whether each name is a tensor of the part: all inputs, and one output at least.
void require_names(const std::string& part, const Variant& variant, const Files& files) {
    std::set<std::string> targets;
    for (const auto& [name, file] : files) {
        const bool is_input = named(variant.inputs, name) != nullptr;
        if (!is_input && !named(variant.outputs, name)) {
            std::string all;
            for (const auto& spec : variant.inputs) all += spec.name + ", ";
            for (const auto& spec : variant.outputs) all += spec.name + ", ";
            throw Error(2, part + " has no input or output " + name +
                               ", it has: " + all.substr(0, all.size() - 2));
        }
        if (!is_input && !targets.insert(file).second) {
            throw Error(2, "two outputs go to " + file + ": name another file");
        }
    }
    for (const auto& spec : variant.inputs) {
        if (!files.count(spec.name)) throw Error(2, part + " needs " + spec.name + "=FILE");
    }
    if (targets.empty()) {
        const std::string& output = variant.outputs.front().name;
        throw Error(2, "name an output, such as " + output + "=out.npy");
    }
}

}  // namespace

void run_files(Bundle& bundle, const std::string& part, const Files& files, bool force) {
    const Variant& variant = bundle.variant(part, "fp32");
    require_names(part, variant, files);
    for (const auto& [name, file] : files) {
        if (!named(variant.inputs, name)) require_writable(file, force);
    }
    Tensors inputs;
    for (const TensorSpec& spec : variant.inputs) {
        inputs.emplace(spec.name, converted(read_npy(files.at(spec.name)), spec.dtype));
    }
    sizes_in(part, variant, inputs);  // a wrong shape is said before a wrong value
    for (const TensorSpec& spec : variant.inputs) {
        require_values(part, spec, inputs.at(spec.name));
    }
    const Tensors outputs = bundle.part(part).run(inputs);
    for (const auto& [name, file] : files) {
        if (!named(variant.inputs, name)) write_file(file, npy_of(outputs.at(name)), force);
    }
}

}  // namespace aeonnx
