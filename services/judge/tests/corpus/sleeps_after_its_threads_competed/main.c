#include <pthread.h>
#include <time.h>
#include <unistd.h>

static void *compute(void *unused) {
    (void)unused;
    while (clock() < CLOCKS_PER_SEC / 5) {
    }
    return 0;
}

int main(void) {
    pthread_t threads[40];
    for (int i = 0; i < 40; i++) {
        if (pthread_create(&threads[i], 0, compute, 0)) return 1;
    }
    for (int i = 0; i < 40; i++) pthread_join(threads[i], 0);
    sleep(60);
    return 0;
}
