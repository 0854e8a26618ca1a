#include <iostream>

int a[600000000], b[600000000];

int main() {
    std::cin >> a[3] >> b[4];
    std::cout << a[1] + b[1];
}
