#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void *take(void *nothing) {
    for (;;) {
        char *block = malloc(1 << 20);
        if (block) memset(block, 1, 1 << 20);
    }
    return nothing;
}

int main(void) {
    pthread_t thread;
    for (int i = 0; i < 8; i++) pthread_create(&thread, 0, take, 0);
    take(0);
}
