#include "tiles.hpp"

#include <algorithm>
#include <random>

#include "testing.hpp"

using namespace aeonnx;

namespace {

// Which rule of the tiles a size breaks; nothing if none.
std::string fault(const Axis& axis, std::int64_t size, std::int64_t side) {
    std::int64_t done = 0;
    for (const Piece& piece : pieces(axis, size, side)) {
        const std::int64_t margin = *axis.margin, length = piece.last - piece.first;
        if (piece.start != done || piece.stop <= piece.start) return "a gap";
        if (piece.first > std::max<std::int64_t>(0, piece.start - margin)) return "a short left";
        if (piece.last < std::min(size, piece.stop + margin)) return "a short right";
        if (piece.first < 0 || piece.last > size) return "beyond an end";
        if (!axis.allows(length)) return "a tile of " + std::to_string(length);
        for (const std::int64_t place : {piece.start, piece.stop, piece.first, piece.last}) {
            if (place % axis.multiple != 0) return "a place within a multiple";
        }
        done = piece.stop;
    }
    return done == size ? "" : "an end of " + std::to_string(done);
}

TensorSpec spec_of(const char* name, const std::vector<std::string>& sizes) {
    TensorSpec spec{name, DType::float32, {}};
    for (const std::string& size : sizes) {
        spec.shape.push_back(*read_size(size, spec.shape.empty()));
    }
    return spec;
}

Variant variant_of(std::optional<std::int64_t> margin) {
    Variant variant;
    variant.inputs = {spec_of("x", {"batch", "height", "2*width"})};
    variant.outputs = {spec_of("y", {"batch", "height/2", "width"})};
    variant.axes = {
        {"batch", {1, 1, {}, 0}}, {"height", {4, 8, {}, margin}}, {"width", {1, 3, {}, margin}}};
    return variant;
}

}  // namespace

TEST(tiles_cover_an_axis_and_reach_a_margin_further) {
    std::mt19937 random(7);
    const auto below = [&](unsigned most) { return static_cast<std::int64_t>(random() % most); };
    for (int i = 0; i < 20000; ++i) {
        const std::int64_t multiple = 1 + below(5), min = multiple * (1 + below(6));
        const Axis axis{multiple, min, {}, below(12)};
        const std::int64_t size = min + multiple * below(40), side = 1 + below(30);
        equal(fault(axis, size, side), "",
              "multiple " + std::to_string(multiple) + ", min " + std::to_string(min) +
                  ", margin " + std::to_string(*axis.margin) + ", size " + std::to_string(size) +
                  ", side " + std::to_string(side));
    }
}

TEST(tiles_are_as_long_as_the_contract_says) {
    const auto steps = [](const Axis& axis, std::int64_t side) {
        const auto found = pieces(axis, 10000, side);
        return std::to_string(found[0].last - found[0].first) + " of " +
               std::to_string(found[1].start);
    };
    equal(steps({2, 8, {}, 7}, 513), "504 of 496");     // 512 with two margins of 8
    equal(steps({10, 10, {}, 101}, 64), "340 of 230");  // 4 * 110 + 10 with two
    equal(steps({10, 700, {}, 0}, 64), "700 of 700");   // the smallest size
}

TEST(a_tile_at_an_end_is_as_long_as_the_axis_allows) {
    const auto found = pieces({1, 9, {}, 1}, 10, 1);
    equal(found.size(), 2U);
    equal(found[0].stop, 7);
    equal(found[0].first, 0);
    equal(found[0].last, 9);
    equal(found[1].first, 1);
    equal(found[1].last, 10);
}

TEST(a_size_of_at_most_a_side_is_one_tile) {
    equal(pieces({2, 8, {}, 7}, 512, 512).size(), 1U);
    equal(pieces({2, 8, {}, 7}, 514, 512).size(), 2U);
    for (const std::int64_t margin : {largest_size, largest_size - 1}) {
        for (const std::int64_t multiple : {std::int64_t{1}, largest_size, largest_size / 2}) {
            equal(pieces({multiple, multiple, {}, margin}, largest_size / multiple * multiple, 512)
                      .size(),
                  1U);
        }
    }
}

TEST(only_large_rows_with_margins_run_in_tiles) {
    const Sizes small = {{"batch", 100}, {"height", 1024}, {"width", 2048}};
    const Sizes large = {{"batch", 1}, {"height", 1028}, {"width", 2048}};
    yes(!runs_in_tiles(variant_of(0), small), "2^22 values are not many");
    yes(runs_in_tiles(variant_of(0), large), "more than 2^22 values are many");
    yes(!runs_in_tiles(variant_of({}), large), "an axis without a margin");
    Variant fixed = variant_of(0);
    fixed.axes = {{"batch", {1, 1, {}, 0}}};
    fixed.inputs = fixed.outputs = {{"x", DType::float32, {*read_size("batch", true)}}};
    fixed.inputs[0].shape.push_back(fixed_size(1 << 23));
    yes(!runs_in_tiles(fixed, {{"batch", 1}}), "no axis to cut");
    const Sizes endless = {{"batch", 1}, {"height", largest_size}, {"width", largest_size}};
    equal(values_of_row(variant_of(0), endless), uncountable);
}

// y[h, w] is the sum of x[2h - 1 .. 2h + 2, 2w - 2 .. 2w + 3] that are there: what a tile lacks
// beyond its margin would show.
TEST(tiles_give_what_the_whole_gives) {
    const Variant variant = variant_of(2);
    const std::int64_t height = 1060, width = 2049;
    const auto sum = [](const Tensor& x) {
        const std::int64_t rows = x.shape[1], columns = x.shape[2];
        Tensor y(DType::float32, {1, rows / 2, columns / 2});
        for (std::int64_t i = 0; i < rows / 2 * (columns / 2); ++i) {
            const std::int64_t h = i / (columns / 2), w = i % (columns / 2);
            float total = 0;
            for (std::int64_t r = std::max<std::int64_t>(0, 2 * h - 1);
                 r <= std::min(rows - 1, 2 * h + 2); ++r) {
                for (std::int64_t c = std::max<std::int64_t>(0, 2 * w - 2);
                     c <= std::min(columns - 1, 2 * w + 3); ++c) {
                    total += x.values<float>()[r * columns + c];
                }
            }
            y.values<float>()[i] = total;
        }
        return y;
    };
    Tensor x(DType::float32, {1, height, 2 * width});
    for (std::size_t i = 0; i < x.bytes.size() / 4; ++i) {
        x.values<float>()[i] = static_cast<float>(i % 251);
    }
    Tensor y(DType::float32, {1, height / 2, width});
    int tiles = 0;
    each_tile(variant, {{"batch", 1}, {"height", height}, {"width", width}}, [&](const Tile& tile) {
        const Tensor part = cut(x, inputs_of(variant.inputs[0].shape, x.shape, tile));
        paste_tile(variant.outputs[0].shape, sum(part), tile, y);
        ++tiles;
    });
    equal(tiles, 45);  // half as long as usual: the input has two columns for each of `width`
    yes(y.bytes == sum(x).bytes, "tiles differ from the whole");
}

TEST(a_cut_behind_the_end_is_reflected) {
    Tensor x(DType::uint8, {2, 3});
    for (int i = 0; i < 6; ++i) x.values<unsigned char>()[i] = static_cast<unsigned char>(i);
    const auto text = [](const Tensor& tensor) {
        std::string values;
        for (const std::byte value : tensor.bytes)
            values += std::to_string(static_cast<int>(value));
        return values;
    };
    equal(text(cut(x, {{0, 4}, {1, 7}})), "1210121454345412101214543454");
    equal(text(cut(x, {{1, 1}, {4, 2}})), "34");
    Tensor one(DType::uint8, {1, 1});
    *one.values<unsigned char>() = 7;
    equal(text(cut(one, {{0, 2}, {0, 3}})), "777777");
    Tensor whole(DType::uint8, {2, 2});
    paste(x, {0, 1}, whole, {{1, 1}, {1, 2}});
    equal(text(whole), "0001");
    paste(x, {0, 0}, whole, {{2, 2}, {0, 2}});
    equal(text(whole), "0001");
}
