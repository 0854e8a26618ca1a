#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static char block[1 << 20];

int main(void) {
    for (int i = 0;; i++) {
        char name[64];
        sprintf(name, "/dev/shm/%d", i);
        int file = open(name, O_CREAT | O_WRONLY, 0600);
        for (int n = 0; n < 16; n++) write(file, block, sizeof block);
        close(file);
    }
}
