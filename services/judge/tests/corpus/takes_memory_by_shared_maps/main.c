#include <string.h>
#include <sys/mman.h>

int main(void) {
    for (;;) {
        char *map = mmap(0, 4 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        memset(map, 1, 4 << 20);
    }
}
