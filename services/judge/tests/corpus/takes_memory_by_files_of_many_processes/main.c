#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static char block[1 << 20];

int main(void) {
    for (int i = 0; i < 40; i++) {
        if (fork()) continue;
        int file = memfd_create("hog", 0);
        if (file < 0) return 1;
        for (int n = 0; n < 26; n++) write(file, block, sizeof block);
        sleep(2);
        return 0;
    }
    int status, failures = 0;
    while (wait(&status) > 0) failures += status != 0;
    return failures > 0;
}
