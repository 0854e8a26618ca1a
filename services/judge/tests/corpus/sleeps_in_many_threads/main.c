#include <pthread.h>
#include <time.h>

static struct timespec start;

static void *sleep_often(void *unused) {
    (void)unused;
    struct timespec at = start;
    for (;;) {
        at.tv_nsec += 10000000;
        if (at.tv_nsec >= 1000000000) {
            at.tv_sec++;
            at.tv_nsec -= 1000000000;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, 0);
    }
    return 0;
}

int main(void) {
    pthread_t thread;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < 60; i++) {
        if (pthread_create(&thread, 0, sleep_often, 0)) return 1;
    }
    sleep_often(0);
    return 0;
}
