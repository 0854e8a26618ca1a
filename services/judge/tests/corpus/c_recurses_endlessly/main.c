int deeper(int depth) {
    volatile char frame[4096];
    frame[depth % 4096] = 1;
    return deeper(depth + 1) + frame[0];
}

int main(void) { return deeper(0); }
