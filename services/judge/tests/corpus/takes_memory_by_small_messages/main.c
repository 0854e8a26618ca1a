#include <sys/msg.h>

static struct {
    long type;
    char text[1];
} message = {1, {0}};

int main(void) {
    for (int i = 0; i < 200; i++) {
        int queue = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
        if (queue < 0) return 1;
        for (int n = 0; n < 16000; n++) if (msgsnd(queue, &message, 1, 0)) return 2;
    }
    return 0;
}
