#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    for (int i = 0; i < 16; i++)
        if (!fork()) {
            memset(malloc(8 << 20), 1, 8 << 20);
            pause();
        }
    while (wait(0) > 0) {
    }
    return 1;
}
