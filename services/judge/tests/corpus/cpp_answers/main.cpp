#include <iostream>
#include <map>
#include <string>

int main() {
    std::map<std::string, int> numbers;
    std::cin >> numbers["a"] >> numbers["b"];
    int sum = 0;
    for (auto &[name, number] : numbers) sum += number;
    std::cout << sum << std::endl;
}
