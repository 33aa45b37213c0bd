#include "rules.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <vector>

#include "fields.hpp"

namespace aeonnx {
namespace {

using Names = std::set<std::string>;

std::string listed(const Names& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return text.empty() ? "none" : text;
}

Names axes_in(const std::vector<TensorSpec>& specs) {
    Names names;
    for (const TensorSpec& spec : specs) {
        for (const Extent& size : spec.shape) {
            if (!size.axis.empty()) names.insert(size.axis);
        }
    }
    return names;
}

void require_distinct(const std::vector<TensorSpec>& specs, const std::string& path) {
    Names names;
    for (const TensorSpec& spec : specs) {
        if (!names.insert(spec.name).second) refuse(path, "distinct names", spec.name + " twice");
    }
}

void require_divisors(const Variant& variant, const std::vector<TensorSpec>& specs,
                      const std::string& path) {
    for (const TensorSpec& spec : specs) {
        for (const Extent& size : spec.shape) {
            if (size.axis.empty()) continue;
            const std::int64_t multiple = variant.axes.at(size.axis).multiple;
            if (multiple % size.divisor == 0) continue;
            refuse(path + ".axes." + size.axis + ".multiple",
                   "a multiple of " + std::to_string(size.divisor) +
                       ", by which a size divides the axis",
                   std::to_string(multiple));
        }
    }
}

void require_axes(const Variant& variant, const std::string& path) {
    const Names given = axes_in(variant.inputs), made = axes_in(variant.outputs);
    Names all = given, known;
    all.insert(made.begin(), made.end());
    for (const auto& item : variant.axes) known.insert(item.first);
    if (known != all) refuse(path + ".axes", listed(all) + ", those of the tensors", listed(known));
    if (all != given) {
        refuse(path + ".outputs", "sizes that follow axes of the inputs, " + listed(given),
               listed(made));
    }
    require_divisors(variant, variant.inputs, path);
    require_divisors(variant, variant.outputs, path);
}

void require_rows(const Variant& variant, const std::string& path) {
    const Extent& first = variant.outputs.front().shape.front();
    for (const TensorSpec& spec : variant.outputs) {
        if (spec.shape.front() == first) continue;
        refuse(path + ".outputs", "the same first size in all",
               first.text + " and " + spec.shape.front().text);
    }
    const bool any = std::any_of(variant.inputs.begin(), variant.inputs.end(),
                                 [&](const TensorSpec& spec) { return variant.has_rows(spec); });
    if (!any) {
        refuse(path + ".inputs", "one with a first size of " + first.text + ", as the outputs have",
               "none");
    }
}

Sizes sizes_of(const Variant& variant, const Golden& golden, const std::string& path) {
    std::vector<Given> inputs;
    for (const TensorSpec& spec : variant.inputs) {
        const Stored& stored = golden.inputs.at(spec.name);
        const Layout layout = variant.shape_of_rows(spec, false);
        if (stored.dtype != spec.dtype || !is_like(layout, stored.shape)) {
            refuse(path + ".inputs." + spec.name, describe(spec.dtype, layout),
                   describe(stored.dtype, stored.shape));
        }
        inputs.push_back({spec.name, layout, stored.shape});
    }
    Axes axes = variant.axes;
    axes.emplace(batch, Axis{});
    try {
        return solve(inputs, axes);
    } catch (const std::runtime_error& error) {
        throw std::runtime_error(path + ".inputs." + error.what());
    }
}

void require_golden(const Variant& variant, const Golden& golden, const std::string& path) {
    const Sizes sizes = sizes_of(variant, golden, path);
    const std::int64_t fixed = variant.fixed_rows().value_or(1), rows = sizes.at(batch);
    if (rows % fixed != 0) {
        refuse(path + ".inputs", "batches of " + std::to_string(fixed) + " rows",
               std::to_string(rows) + " rows");
    }
    for (const TensorSpec& spec : variant.outputs) {
        const Stored& stored = golden.outputs.at(spec.name);
        const Shape expected = shape_at(variant.shape_of_rows(spec, true), sizes);
        if (stored.dtype != spec.dtype || stored.shape != expected) {
            refuse(path + ".outputs." + spec.name, describe(spec.dtype, expected),
                   describe(stored.dtype, stored.shape));
        }
    }
}

}  // namespace

void require_rules(const Variant& variant, const std::string& path) {
    require_distinct(variant.inputs, path + ".inputs");
    require_distinct(variant.outputs, path + ".outputs");
    require_axes(variant, path);
    require_rows(variant, path);
    for (std::size_t i = 0; i < variant.golden.size(); ++i) {
        require_golden(variant, variant.golden[i], path + ".golden[" + std::to_string(i) + "]");
    }
}

}  // namespace aeonnx
