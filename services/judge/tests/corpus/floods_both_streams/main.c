#include <unistd.h>

static char block[65536];

int main(void) {
    for (;;) {
        write(1, block, sizeof block);
        write(2, block, sizeof block);
    }
}
