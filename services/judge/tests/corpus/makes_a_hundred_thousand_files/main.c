#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
    int count = 0;
    for (; count < 100000; count++) {
        char name[32];
        sprintf(name, "/tmp/%d", count);
        int file = open(name, O_CREAT | O_WRONLY, 0600);
        if (file < 0) break;
        close(file);
    }
    printf("%d %d\n", errno == ENOSPC, count > 10000 && count < 17000);
    return 0;
}
