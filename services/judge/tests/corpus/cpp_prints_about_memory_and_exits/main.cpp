#include <iostream>
#include <stdexcept>

int main() {
    try {
        throw std::runtime_error("std::bad_alloc");
    } catch (const std::exception& error) {
        std::cerr << "  what():  " << error.what() << "\n";
        return 3;
    }
}
