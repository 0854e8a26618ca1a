#include <stdexcept>

int main() { throw std::runtime_error("std::bad_alloc"); }
