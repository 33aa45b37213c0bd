#include "npy.hpp"

#include <random>

#include "testing.hpp"
#include "text.hpp"

using namespace aeonnx;

namespace {

std::vector<std::byte> bytes_of(const std::string& text) {
    const auto* data = reinterpret_cast<const std::byte*>(text.data());
    return {data, data + text.size()};
}

// A file with such a header, and `values` behind it.
std::string file_of(const std::string& header, const std::string& values, char major = 1) {
    std::string text = "\x93NUMPY";
    text += {major, '\0', static_cast<char>(header.size()), '\0'};
    if (major > 1) text += {'\0', '\0'};
    return text + header + values;
}

std::string unread(const std::string& file) {
    const std::string text = refusal([&] { parse_npy(bytes_of(file), "x.npy"); });
    const std::string start = "x.npy is not a readable .npy file: ";
    equal(text.substr(0, start.size()), start);
    return text.substr(start.size());
}

const std::string two = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }\n";

}  // namespace

TEST(arrays_come_back_as_they_were) {
    for (const DType dtype : {DType::float32, DType::uint8, DType::int64, DType::float16,
                              DType::float64, DType::int32, DType::boolean}) {
        for (const Shape& shape : {Shape{}, {3}, {2, 5}, {1, 2, 3, 4}, {0, 7}}) {
            Tensor tensor(dtype, shape);
            for (std::size_t i = 0; i < tensor.bytes.size(); ++i)
                tensor.bytes[i] = std::byte(i % 2);
            const std::string file = npy_of(tensor);
            equal((file.size() - tensor.bytes.size()) % 64, 0U);
            const Tensor found = parse_npy(bytes_of(file), "x.npy");
            yes(found.dtype == dtype && found.shape == shape && found.bytes == tensor.bytes,
                describe(dtype, shape));
        }
    }
}

TEST(headers_are_written_as_numpy_does) {
    equal(npy_of(Tensor(DType::float32, {3})).substr(10, 57),
          "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }");
    equal(npy_of(Tensor(DType::int64, {})).substr(10, 55),
          "{'descr': '<i8', 'fortran_order': False, 'shape': (), }");
    equal(npy_of(Tensor(DType::boolean, {2, 10})).substr(10, 60),
          "{'descr': '|b1', 'fortran_order': False, 'shape': (2, 10), }");
}

TEST(all_versions_and_orders_are_read) {
    for (const char major : {'\1', '\2', '\3'}) {
        const Tensor found = parse_npy(bytes_of(file_of(two, "ab", major)), "x.npy");
        equal(static_cast<int>(found.values<unsigned char>()[1]), 'b');
    }
    const std::string columns = "{\"shape\": (2, 3), 'fortran_order': True, 'descr': '|u1'}";
    const Tensor found = parse_npy(bytes_of(file_of(columns, "adbecf")), "x.npy");
    equal(std::string(reinterpret_cast<const char*>(found.bytes.data()), 6), "abcdef");
    const std::string flags = "{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }";
    yes(parse_npy(bytes_of(file_of(flags, {'\0', '\7'})), "x").bytes ==
            std::vector{std::byte{0}, std::byte{1}},
        "a bool is 0 or 1");
}

TEST(what_is_no_array_is_refused) {
    equal(unread(""), "it does not begin as one");
    equal(unread("PK\3\4 and so on"), "it does not begin as one");
    equal(unread(std::string("\x93NUMPY\1", 7)), "it is cut");
    equal(unread(file_of(two, "ab", '\4')), "expected the format 1.0, 2.0 or 3.0, got 4.0");
    equal(unread(file_of(two, "a")), "expected 2 bytes of values, got 1");
    equal(unread(file_of(two, "abc")), "expected 2 bytes of values, got 3");
    equal(unread(file_of(two, "").substr(0, 40)), "its header is cut");
    const auto header = [](const std::string& dtype, const std::string& order,
                           const std::string& shape) {
        return unread(file_of(
            "{'descr': " + dtype + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }",
            ""));
    };
    const std::string types =
        "expected values of a type of <f4, <f2, <f8, |u1, <i4, <i8, |b1, got ";
    equal(header("'>f4'", "False", "(1,)"), types + ">f4");
    equal(header("'|O'", "False", "(1,)"), types + "|O");
    equal(header("[('a', '<f4')]", "False", "(1,)"),
          "its header has no text where it must, such as '<f4'");
    equal(header("'<f4'", "0", "(1,)"), "expected a fortran_order of True or False");
    equal(header("'<f4'", "False", "(-1,)"), "expected a shape of whole numbers from 0 on");
    equal(header("'<f4'", "False", "(1234567890123456789,)"), "its shape is too large");
    equal(header("'<f8'", "False", "(99999999999, 99999999999)"),
          "expected a shape whose values can be counted, got one too large");
    equal(header("'<f8'", "False", "(2 3)"), "its shape is no tuple");
    equal(unread(file_of("{'descr': '<f4'}", "")),
          "its header lacks descr, fortran_order or shape");
    equal(unread(file_of("{'descr': '<f4', 'descr': '<f4'}", "")),
          "its header has the key descr, which is unknown or there twice");
}

TEST(damaged_files_do_no_harm) {
    std::mt19937 random(3);
    const std::string whole = npy_of(Tensor(DType::float32, {2, 3}));
    for (int i = 0; i < 20000; ++i) {
        std::string file = whole;
        for (auto changes = 1 + random() % 3; changes-- > 0;) {
            file[random() % 80] = static_cast<char>(random());
        }
        if (random() % 4 == 0) file.resize(random() % file.size());
        try {
            parse_npy(bytes_of(file), "x.npy");
        } catch (const Error&) {  // or it is still one
        }
    }
}
