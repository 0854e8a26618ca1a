#include <iostream>

struct Node {
    volatile char data[96] = {1};
};

int depth(int left) {
    Node node;
    return left == 0 ? 0 : depth(left - 1) + node.data[0];
}

int main() { std::cout << depth(1000000) << std::endl; }
