#include <vector>

int main() {
    std::vector<char> all(1L << 46);
    return all[12345];
}
