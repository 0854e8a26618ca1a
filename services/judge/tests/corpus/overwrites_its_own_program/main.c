#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
    const char *paths[] = {"/proc/self/exe", "/box/program/main"};
    for (int i = 0; i < 2; i++) {
        if (open(paths[i], O_RDWR) >= 0 || open(paths[i], O_WRONLY | O_TRUNC) >= 0) puts("opened");
        if (!truncate(paths[i], 0)) puts("cut");
        if (!unlink(paths[i])) puts("gone");
    }
    puts("ok");
    return 0;
}
