#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void *wait_for_ever(void *nothing) {
    pause();
    return nothing;
}

int main(void) {
    pthread_t thread;
    int count = 0;
    while (count < 1000 && !pthread_create(&thread, 0, wait_for_ever, 0)) count++;
    printf("%d\n", count);
    return 0;
}
