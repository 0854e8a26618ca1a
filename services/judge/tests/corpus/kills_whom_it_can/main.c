#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
    // The programs of a judge that is not root have the init's user, which is 0 in its user namespace. The kernel delivers to a
    // process 1 only what it handles.
    int same_user = getuid() == 0, parent = getppid();
    int signals[] = {SIGKILL, SIGSTOP, SIGTERM};
    for (int i = 0; i < 3; i++) {
        if (!kill(parent, signals[i]) && !same_user) puts("reached the parent");
        if (!kill(1, signals[i]) && !same_user) puts("reached process 1");
    }
    if (!kill(-1, SIGKILL)) puts("reached somebody");
    if (getppid() != parent) puts("ended the parent");
    puts("alone");
    return 0;
}
