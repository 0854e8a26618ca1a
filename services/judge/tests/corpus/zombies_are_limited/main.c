#include <stdio.h>
#include <unistd.h>

int main(void) {
    int count = 0;
    for (;;) {
        pid_t child = fork();
        if (child < 0) break;
        if (!child) _exit(0);
        count++;
    }
    printf("%d\n", count);
    return 0;
}
