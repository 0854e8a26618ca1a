#include <sys/msg.h>

static struct {
    long type;
    char text[8192];
} message = {1, {0}};

int main(void) {
    for (int i = 0; i < 32000; i++) {
        int queue = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
        if (queue < 0) return 1;
        for (int n = 0; n < 2; n++) if (msgsnd(queue, &message, sizeof message.text, 0)) return 2;
    }
    return 0;
}
