#include <sys/time.h>

int main(void) {
    struct itimerval soon = {{0, 0}, {0, 20000}};
    setitimer(ITIMER_VIRTUAL, &soon, 0);
    for (volatile int i = 0;; i++) {
    }
}
