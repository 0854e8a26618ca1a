constexpr long forever(long n) {
    while (n >= 0) n = (n + 1) % 1000;
    return n;
}

static_assert(forever(1) == 2);

int main() {
}
