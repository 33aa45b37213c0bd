#include "axes.hpp"

#include "manifest.hpp"
#include "testing.hpp"

using namespace aeonnx;

namespace {

Layout layout_of(const std::vector<std::string>& sizes) {
    Layout layout;
    for (const std::string& size : sizes) {
        const bool number = size[0] >= '0' && size[0] <= '9' && size.find('*') == std::string::npos;
        layout.push_back(number ? fixed_size(std::stoll(size)) : *read_size(size, layout.empty()));
    }
    return layout;
}

const Axes some_axes = {{"batch", {}}, {"height", {8, 16}}, {"frames", {1, 2, 100}}};

std::string broken(const std::vector<Given>& tensors) {
    return refusal([&] { solve(tensors, some_axes); });
}

}  // namespace

TEST(sizes_are_read) {
    for (const std::string text : {"height", "a_1", "320*frames", "height/8", "1*h"}) {
        yes(read_size(text, false).has_value(), text);
        equal(read_size(text, false)->text, text);
        yes(!read_size(text, true), text + " stands first");
    }
    equal(read_size("batch", true)->axis, "batch");
    equal(read_size("320*frames", false)->at(3), 960);
    equal(read_size("height/8", false)->at(64), 8);
    equal(read_size("999999999*h", false)->at(largest_size), uncountable);
    equal(fixed_size(7).at(3), 7);
}

TEST(texts_that_are_no_sizes_are_refused) {
    for (const std::string text : {"",      "*",       "/",       "a*b",  "8*h/8",        "0*h",
                                   "h/0",   "h/",      "*h",      "01*h", "1234567890*h", "H",
                                   "1h",    "h\n",     "h ",      " h",   "-1*h",         "h/8/8",
                                   "2*2*h", "2*batch", "batch/2", "h\"",  "h-1",          "h'"}) {
        yes(!read_size(text, false), "\"" + text + "\" is no size");
        yes(!read_size(text, true), "\"" + text + "\" is no first size");
    }
    yes(!read_size("batch", false), "batch stands first");
}

TEST(axes_are_solved_from_inputs) {
    const Sizes sizes = solve({{"x", layout_of({"batch", "1", "height/8"}), {3, 1, 2}},
                               {"z", layout_of({"batch", "320*frames"}), {3, 640}}},
                              some_axes);
    equal(sizes.at("batch"), 3);
    equal(sizes.at("height"), 16);
    equal(sizes.at("frames"), 2);
    const Shape shape = shape_at(layout_of({"batch", "4", "height", "16*frames"}), sizes);
    equal(describe(DType::float32, shape), "float32 [3, 4, 16, 32]");
}

TEST(sizes_that_break_a_rule_are_named) {
    const auto height = [](std::int64_t size) {
        return broken({{"x", layout_of({"batch", "height"}), {1, size}}});
    };
    equal(height(41),
          "x: height: expected a multiple of 8 of at least 16, got 41: the nearest is 40");
    equal(height(44),
          "x: height: expected a multiple of 8 of at least 16, got 44: the nearest is 48");
    equal(height(0),
          "x: height: expected a multiple of 8 of at least 16, got 0: the nearest is 16");
    equal(broken({{"x", layout_of({"batch", "frames"}), {1, 101}}}),
          "x: frames: expected a size from 2 to 100, got 101: the nearest is 100");
    equal(broken({{"x", layout_of({"batch", "16*frames"}), {1, 33}}}),
          "x: expected a multiple of 16 for 16*frames, got 33");
    equal(broken({{"z", layout_of({"batch", "frames"}), {1, 10}},
                  {"mask", layout_of({"batch", "frames"}), {1, 12}}}),
          "frames: expected one size in all inputs, got 10 in z and 12 in mask");
    equal(broken({{"z", layout_of({"batch"}), {0}}}),
          "z: batch: expected a size of at least 1, got 0: the nearest is 1");
}

TEST(huge_sizes_do_not_overflow) {
    const Axes axes = {{"batch", {}}, {"h", {999999999, 999999999}}};
    const std::string text = refusal(
        [&] { solve({{"x", layout_of({"batch", "h/999999999"}), {1, largest_size}}}, axes); });
    yes(text.find("x: h: expected a multiple of 999999999 of at least 999999999, got ") == 0, text);
    const Axis wide{largest_size, largest_size};
    equal(nearest(wide, uncountable), largest_size);
    equal(rounded_up(wide, 1), largest_size);
    yes(rounded_up({largest_size - 1, largest_size - 1}, largest_size) > largest_size,
        "rounded up");
    equal(product(uncountable, 2), uncountable);
    equal(product(0, uncountable), 0);
    equal(product(uncountable, 0), 0);
}
