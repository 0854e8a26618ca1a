#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
    int signals[] = {SIGKILL, SIGSTOP, SIGTERM};
    for (int i = 0; i < 3; i++) {
        if (!kill(getppid(), signals[i])) puts("reached the parent");
        if (!kill(1, signals[i])) puts("reached process 1");
    }
    if (!kill(-1, SIGKILL)) puts("reached somebody");
    puts("alone");
    return 0;
}
