#include <string>

std::string deeper(std::string text) { return deeper(text + "x") + text; }

int main() { return static_cast<int>(deeper("").size()); }
