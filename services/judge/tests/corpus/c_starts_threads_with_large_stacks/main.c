#include <pthread.h>
#include <stdio.h>

static void *wait_for_all(void *barrier) {
    pthread_barrier_wait(barrier);
    return NULL;
}

int main(void) {
    pthread_barrier_t barrier;
    pthread_t threads[60];
    pthread_barrier_init(&barrier, NULL, 61);
    for (int i = 0; i < 60; i++) {
        int error = pthread_create(&threads[i], NULL, wait_for_all, &barrier);
        if (error) {
            fprintf(stderr, "thread %d: %d\n", i, error);
            return 1;
        }
    }
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 60; i++) pthread_join(threads[i], NULL);
    puts("done");
    return 0;
}
