#include <sys/sem.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    int sets[20], status;
    struct sembuf raise = {0, 1, SEM_UNDO};
    for (int i = 0; i < 20; i++) if ((sets[i] = semget(IPC_PRIVATE, 31000, IPC_CREAT | 0600)) < 0) return 1;
    for (int n = 0; n < 60; n++) {
        if (fork()) continue;
        for (int i = 0; i < 20; i++) if (semop(sets[i], &raise, 1)) _exit(2);
        sleep(1);
        _exit(0);
    }
    for (int n = 0; n < 60; n++) if (wait(&status) < 0 || status) return 3;
    return 0;
}
