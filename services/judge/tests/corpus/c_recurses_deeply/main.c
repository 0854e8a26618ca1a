#include <stdio.h>

static int depth(int left) {
    volatile char frame[96];
    frame[left % 96] = 1;
    return left == 0 ? 0 : depth(left - 1) + frame[left % 96];
}

int main(void) {
    printf("%d\n", depth(1000000));
    return 0;
}
