#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    for (;;) {
        if (!fork()) {
            for (volatile int i = 0; i < 100000; i++) {
            }
            _exit(0);
        }
        wait(0);
    }
}
