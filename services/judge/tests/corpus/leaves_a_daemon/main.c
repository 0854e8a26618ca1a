#include <signal.h>
#include <unistd.h>

int main(void) {
    if (!fork()) {
        setsid();
        for (int signal_number = 1; signal_number < 65; signal_number++) signal(signal_number, SIG_IGN);
        if (!fork()) for (;;) pause();
        _exit(0);
    }
    usleep(20000);
    write(1, "left\n", 5);
    return 0;
}
