#include <cstddef>

int main() {
    const std::size_t step = 16u << 20;
    for (;;) {
        volatile char *block = new char[step];
        for (std::size_t at = 0; at < step; at += 4096) block[at] = 1;
    }
}
