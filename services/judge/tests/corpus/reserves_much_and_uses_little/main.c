#include <stdio.h>
#include <sys/mman.h>

int main(void) {
    char *map = mmap(0, 1L << 40, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) return 1;
    map[1L << 39] = 1;
    puts("fine");
    return 0;
}
