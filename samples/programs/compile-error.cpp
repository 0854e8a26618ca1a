#include <string>

int main() {
    std::string sum = 1 + 2;
    return sum;
}
