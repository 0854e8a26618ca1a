#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    if (!fork()) raise(SIGSTOP);
    wait(0);
    return 0;
}
