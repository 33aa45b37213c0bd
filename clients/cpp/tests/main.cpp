// Runs all tests: a line for each, and exit code 1 if one fails.
#include "testing.hpp"

int main() {
    bool good = !all_tests().empty();
    for (const Test& test : all_tests()) {
        try {
            test.body();
            std::cout << "PASS " << test.name << std::endl;
        } catch (const std::exception& error) {
            good = false;
            std::cout << "FAIL " << test.name << ": " << error.what() << std::endl;
        }
    }
    return good ? 0 : 1;
}
