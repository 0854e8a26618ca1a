#include <string.h>
#include <sys/shm.h>

int main(void) {
    for (int i = 0; i < 40; i++) {
        int segment = shmget(IPC_PRIVATE, 32 << 20, IPC_CREAT | 0600);
        if (segment < 0) return 1;
        void *at = shmat(segment, 0, 0);
        if (at == (void *)-1) return 2;
        memset(at, 1, 32 << 20);
        shmdt(at);
    }
    return 0;
}
