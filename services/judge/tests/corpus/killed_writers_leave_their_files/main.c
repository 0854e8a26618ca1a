#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static char block[1 << 16];

int main(void) {
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 24; i++)
        if (!fork()) {
            char name[32];
            sprintf(name, "/tmp/%d", i);
            int file = open(name, O_CREAT | O_WRONLY, 0600);
            for (;;) write(file, block, sizeof block);
        }
    for (;;) pause();
}
