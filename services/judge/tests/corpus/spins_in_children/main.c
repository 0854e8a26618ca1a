#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    for (int i = 0; i < 4; i++)
        if (!fork()) for (volatile int spin = 0;; spin++) {
        }
    while (wait(0) > 0) {
    }
    return 0;
}
