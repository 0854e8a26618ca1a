#include <fcntl.h>
#include <unistd.h>

static char block[1 << 20];

int main(void) {
    int file = open("/box/work/large", O_CREAT | O_WRONLY, 0600);
    for (;;) write(file, block, sizeof block);
}
