#include "graph.hpp"

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string_view>

#include "text.hpp"

namespace aeonnx {
namespace {

struct Held : std::runtime_error {  // what a bundle never holds
    using std::runtime_error::runtime_error;
};
struct Damaged : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The wire types of protobuf.
enum class Wire { varint = 0, eight_bytes = 1, bytes = 2, four_bytes = 5 };

struct Field {
    std::uint64_t number;
    Wire wire;
    std::uint64_t value;     // of a varint
    std::string_view bytes;  // of all others

    std::string_view content() const {
        if (wire != Wire::bytes) throw Damaged("a field has the wrong wire type");
        return bytes;
    }
    std::uint64_t whole() const {
        if (wire != Wire::varint) throw Damaged("a field has the wrong wire type");
        return value;
    }
};

std::uint64_t varint(std::string_view& rest) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (rest.empty()) throw Damaged("it is cut");
        const auto byte = static_cast<unsigned char>(rest.front());
        rest.remove_prefix(1);
        value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
        if (byte < 0x80) return value;
    }
    throw Damaged("a number is longer than 64 bits");
}

std::string_view taken(std::string_view& rest, std::uint64_t size) {
    if (size > rest.size()) throw Damaged("a length goes beyond the end");
    const std::string_view bytes = rest.substr(0, size);
    rest.remove_prefix(size);
    return bytes;
}

// A message's fields, one after the other; those that the caller does not ask for are passed over.
void each_field(std::string_view message, const std::function<void(const Field&)>& visit) {
    while (!message.empty()) {
        const std::uint64_t tag = varint(message);
        Field field{tag >> 3, static_cast<Wire>(tag & 7), 0, {}};
        if (field.number == 0 || tag > 0xFFFFFFFFU) throw Damaged("a field has no valid number");
        switch (field.wire) {
            case Wire::varint:
                field.value = varint(message);
                break;
            case Wire::eight_bytes:
                field.bytes = taken(message, 8);
                break;
            case Wire::bytes:
                field.bytes = taken(message, varint(message));
                break;
            case Wire::four_bytes:
                field.bytes = taken(message, 4);
                break;
            default:
                throw Damaged("a field has no valid wire type");
        }
        visit(field);
    }
}

void require_domain(std::string_view domain) {
    if (domain.empty() || domain == "ai.onnx") return;
    throw Held("operators of the domain \"" + std::string(domain.substr(0, 80)) + "\"");
}

void opset_import(std::string_view message) {
    each_field(message, [](const Field& field) {
        if (field.number == 1) require_domain(field.content());
    });
}

void tensor(std::string_view message) {
    each_field(message, [](const Field& field) {
        const bool elsewhere = field.number == 14 && field.whole() != 0;  // data_location
        if (field.number == 13 || elsewhere) throw Held("weights in other files");
    });
}

void attribute(std::string_view message, const std::string& op) {
    each_field(message, [&op](const Field& field) {
        constexpr std::uint64_t graph = 5, graphs = 10, sparse = 11, sparse_list = 12;
        const std::uint64_t type = field.number == 20 ? field.whole() : 0;
        if (field.number == 6 || field.number == 11 || type == graph || type == graphs) {
            throw Held("a subgraph (" + op + ")");
        }
        if (field.number == 22 || field.number == 23 || type == sparse || type == sparse_list) {
            throw Held("sparse weights");
        }
        if (field.number == 5 || field.number == 10) tensor(field.content());
    });
}

void node(std::string_view message) {
    std::string op;
    each_field(message, [&op](const Field& field) {
        if (field.number == 7) require_domain(field.content());
        if (field.number != 4) return;
        op = std::string(field.content().substr(0, 80));
        for (const char* const loops : {"Loop", "If", "Scan", "SequenceMap"}) {
            if (field.content() == loops) throw Held("a subgraph (" + op + ")");
        }
    });
    each_field(message, [&op](const Field& field) {
        if (field.number == 5) attribute(field.content(), op);
    });
}

void graph(std::string_view message) {
    each_field(message, [](const Field& field) {
        if (field.number == 15) throw Held("sparse weights");
        if (field.number == 1) node(field.content());
        if (field.number == 5) tensor(field.content());
    });
}

void model(std::string_view message) {
    bool found = false;
    each_field(message, [&found](const Field& field) {
        if (field.number == 20) throw Held("training information");
        if (field.number == 25) throw Held("functions");
        if (field.number == 8) opset_import(field.content());
        if (field.number != 7) return;
        graph(field.content());
        found = true;
    });
    if (!found) throw Damaged("it has no graph");
}

}  // namespace

void require_plain_graph(const std::string& file, const std::vector<std::byte>& data) {
    try {
        model({reinterpret_cast<const char*>(data.data()), data.size()});
    } catch (const Held& held) {
        throw Error(1, file + ": a bundle never holds " + held.what());
    } catch (const Damaged& damaged) {
        throw Error(1, file + " is not an ONNX graph: " + damaged.what());
    }
}

}  // namespace aeonnx
