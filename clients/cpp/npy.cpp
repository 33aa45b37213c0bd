#include "npy.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "files.hpp"

namespace aeonnx {
namespace {

constexpr std::uint64_t largest_file = std::uint64_t{1} << 40;
constexpr std::size_t largest_rank = 64;  // numpy's own limit

struct Code {
    const char* text;
    DType dtype;
};

constexpr std::array<Code, 7> codes = {{{"<f4", DType::float32},
                                        {"<f2", DType::float16},
                                        {"<f8", DType::float64},
                                        {"|u1", DType::uint8},
                                        {"<i4", DType::int32},
                                        {"<i8", DType::int64},
                                        {"|b1", DType::boolean}}};

struct Damaged : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The header is a dict of Python: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
struct Header {
    std::optional<DType> dtype;
    std::optional<bool> fortran;
    std::optional<Shape> shape;
};

class Parser {
public:
    explicit Parser(std::string_view text) : rest_(text) {}

    Header header() {
        Header header;
        require('{');
        while (!took('}')) {
            const std::string key = text();
            require(':');
            if (key == "descr" && !header.dtype) {
                header.dtype = dtype();
            } else if (key == "fortran_order" && !header.fortran) {
                header.fortran = flag();
            } else if (key == "shape" && !header.shape) {
                header.shape = shape();
            } else {
                throw Damaged("its header has the key " + key +
                              ", which is unknown or there twice");
            }
            if (!took(',') && !next('}')) throw Damaged("its header is no dict");
        }
        skip();
        if (!rest_.empty()) throw Damaged("its header goes on behind its end");
        if (!header.dtype || !header.fortran || !header.shape) {
            throw Damaged("its header lacks descr, fortran_order or shape");
        }
        return header;
    }

private:
    void skip() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \n"), rest_.size())); }
    bool next(char c) {
        skip();
        return !rest_.empty() && rest_.front() == c;
    }
    bool took(char c) {
        const bool there = next(c);
        if (there) rest_.remove_prefix(1);
        return there;
    }
    void require(char c) {
        if (!took(c)) throw Damaged(std::string("its header has no ") + c + " where it must");
    }

    std::string text() {
        const char quote = next('"') ? '"' : '\'';
        if (!took(quote)) throw Damaged("its header has no text where it must, such as '<f4'");
        const std::size_t end = rest_.find(quote);
        if (end == std::string_view::npos) throw Damaged("its header is cut");
        const std::string found(rest_.substr(0, end));
        rest_.remove_prefix(end + 1);
        return found;
    }

    DType dtype() {
        const std::string code = text();
        std::string all;
        for (const Code& known : codes) {
            if (code == known.text) return known.dtype;
            all += (all.empty() ? "" : ", ") + std::string(known.text);
        }
        throw Damaged("expected values of a type of " + all + ", got " + code.substr(0, 80));
    }

    bool flag() {
        skip();
        for (const std::string_view word : {"True", "False"}) {
            if (rest_.substr(0, word.size()) != word) continue;
            rest_.remove_prefix(word.size());
            return word == "True";
        }
        throw Damaged("expected a fortran_order of True or False");
    }

    std::int64_t number() {
        skip();
        std::int64_t value = 0;
        std::size_t digits = 0;
        for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits) {
            if (digits == 18) throw Damaged("its shape is too large");
            value = value * 10 + (rest_[digits] - '0');
        }
        if (digits == 0) throw Damaged("expected a shape of whole numbers from 0 on");
        rest_.remove_prefix(digits);
        return value;
    }

    Shape shape() {
        Shape shape;
        require('(');
        while (!took(')')) {
            shape.push_back(number());
            if (shape.size() > largest_rank) throw Damaged("it has more than 64 axes");
            if (!took(',') && !next(')')) throw Damaged("its shape is no tuple");
        }
        return shape;
    }

    std::string_view rest_;
};

std::size_t little(std::string_view bytes) {
    std::size_t value = 0;
    for (std::size_t i = bytes.size(); i-- > 0;) {
        value = value << 8 | static_cast<unsigned char>(bytes[i]);
    }
    return value;
}

// The header, and where the values begin.
std::pair<Header, std::size_t> header_of(std::string_view data) {
    if (data.substr(0, npy_magic.size()) != npy_magic) throw Damaged("it does not begin as one");
    if (data.size() < 10) throw Damaged("it is cut");
    const int major = static_cast<unsigned char>(data[6]);
    if (major < 1 || major > 3 || data[7] != 0) {
        throw Damaged("expected the format 1.0, 2.0 or 3.0, got " + std::to_string(major) + "." +
                      std::to_string(static_cast<unsigned char>(data[7])));
    }
    const std::size_t width = major == 1 ? 2 : 4, start = 8 + width;
    if (data.size() < start) throw Damaged("it is cut");
    const std::size_t length = little(data.substr(8, width));
    if (length > data.size() - start) throw Damaged("its header is cut");
    return {Parser(data.substr(start, length)).header(), start + length};
}

// In C order, what is in Fortran order: the first index is the one that changes fastest.
std::vector<std::byte> transposed(const std::vector<std::byte>& data, const Shape& shape,
                                  std::size_t width) {
    std::vector<std::byte> values(data.size());
    std::vector<std::size_t> steps;  // between neighbours on an axis of `data`
    std::size_t step = width;
    for (const std::int64_t size : shape) {
        steps.push_back(step);
        step *= static_cast<std::size_t>(size);
    }
    Shape at(shape.size(), 0);
    std::size_t from = 0;
    for (std::size_t to = 0; to < values.size(); to += width) {
        std::memcpy(values.data() + to, data.data() + from, width);
        for (std::size_t axis = shape.size(); axis-- > 0;) {
            from += steps[axis];
            if (++at[axis] < shape[axis]) break;
            from -= steps[axis] * static_cast<std::size_t>(shape[axis]);
            at[axis] = 0;
        }
    }
    return values;
}

}  // namespace

Tensor parse_npy(std::vector<std::byte> data, const std::string& name) {
    try {
        const auto [header, start] =
            header_of({reinterpret_cast<const char*>(data.data()), data.size()});
        Tensor tensor;
        tensor.dtype = *header.dtype;
        tensor.shape = *header.shape;
        const std::size_t width = width_of(tensor.dtype);
        const std::size_t size = count_of(tensor.shape) * width;
        if (size != data.size() - start) {
            throw Damaged("expected " + std::to_string(size) + " bytes of values, got " +
                          std::to_string(data.size() - start));
        }
        data.erase(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(start));
        tensor.bytes = *header.fortran ? transposed(data, tensor.shape, width) : std::move(data);
        if (tensor.dtype == DType::boolean) {  // any other byte is no bool to C++
            for (std::byte& value : tensor.bytes) value = std::byte{value != std::byte{0}};
        }
        return tensor;
    } catch (const std::runtime_error& damage) {  // also a shape that cannot be counted
        throw Error(1, name + " is not a readable .npy file: " + damage.what());
    }
}

Tensor read_npy(const std::filesystem::path& path) {
    auto data = read_file(path, at_most(path, largest_file));
    if (!data) throw Error(1, path.string() + " does not exist");
    return parse_npy(std::move(*data), path.string());
}

std::string npy_of(const Tensor& tensor) {
    const auto code = std::find_if(codes.begin(), codes.end(),
                                   [&](const Code& known) { return known.dtype == tensor.dtype; });
    std::string header =
        "{'descr': '" + std::string(code->text) + "', 'fortran_order': False, 'shape': (";
    for (const std::int64_t size : tensor.shape) header += std::to_string(size) + ", ";
    if (tensor.shape.size() > 1) header.erase(header.size() - 2);
    if (tensor.shape.size() == 1) header.pop_back();
    header += "), }";
    // Values begin at a multiple of 64.
    header += std::string(63 - (npy_magic.size() + 4 + header.size()) % 64, ' ') + "\n";
    std::string data(npy_magic);
    data += {'\1', '\0', static_cast<char>(header.size() & 255U),
             static_cast<char>(header.size() >> 8)};
    data += header;
    data.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
    return data;
}

}  // namespace aeonnx
