#include <time.h>

int main(void) {
    struct timespec nap = {0, 3000000};
    for (;;) {
        nanosleep(&nap, 0);
        for (volatile int i = 0; i < 1000; i++) {
        }
    }
}
