// Tests that register themselves, and what they say of values.
#pragma once

#include <exception>
#include <functional>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

struct Test {
    std::string name;
    std::function<void()> body;
};

inline std::vector<Test>& all_tests() {
    static std::vector<Test> tests;
    return tests;
}

struct Registered {
    Registered(std::string name, std::function<void()> body) {
        all_tests().push_back({std::move(name), std::move(body)});
    }
};

#define TEST(name)                                   \
    static void name();                              \
    static const Registered name##_is_(#name, name); \
    static void name()

template <typename A, typename B>
void equal(const A& found, const B& expected, const std::string& of = "") {
    if (found == expected) return;
    std::ostringstream text;
    text << of << (of.empty() ? "" : ": ") << "expected " << expected << ", got " << found;
    throw std::logic_error(text.str());
}

inline void yes(bool good, const std::string& what) {
    if (!good) throw std::logic_error(what);
}

// What the error says; a failure where there is none.
inline std::string refusal(const std::function<void()>& call) {
    try {
        call();
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    throw std::logic_error("expected an error, got none");
}
