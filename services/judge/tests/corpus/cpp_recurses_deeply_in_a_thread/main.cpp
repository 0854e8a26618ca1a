#include <iostream>
#include <thread>

int depth(int left) {
    volatile char frame[96];
    frame[0] = 1;
    return left == 0 ? 0 : depth(left - 1) + frame[0];
}

int main() {
    int result = 0;
    std::thread([&] { result = depth(1000000); }).join();
    std::cout << result << std::endl;
}
