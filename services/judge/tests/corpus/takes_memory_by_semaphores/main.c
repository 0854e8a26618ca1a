#include <sys/sem.h>

int main(void) {
    for (int i = 0; i < 150; i++) if (semget(IPC_PRIVATE, 32000, IPC_CREAT | 0600) < 0) return 1;
    return 0;
}
