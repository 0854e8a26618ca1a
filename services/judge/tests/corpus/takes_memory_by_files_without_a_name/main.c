#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char block[1 << 20];

int main(void) {
    int file = memfd_create("hog", 0);
    if (file < 0) return 1;
    for (int n = 0; n < 60; n++) write(file, block, sizeof block);
    file = memfd_create("hog", 0);
    for (int n = 0; n < 60; n++) write(file, block, sizeof block);
    return 0;
}
