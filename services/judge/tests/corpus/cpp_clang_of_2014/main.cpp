#include <iostream>
#include <memory>
using namespace std;

int size = 1, data = 2;
typedef unsigned char byte;

int checked(int number) throw(int) {
    if (number < 0) throw number;
    return number;
}

int main() {
    register int sum = size + data;
    byte three = 3;
    auto_ptr<int> four(new int(4));
    cout << checked(sum + three + *four) << endl;
}
