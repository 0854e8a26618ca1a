#include <stdlib.h>
#include <string.h>
#include <stdio.h>

int main(void) {
    char *block = malloc(56 << 20);
    memset(block, 1, 56 << 20);
    printf("%d\n", block[12345678]);
    return 0;
}
