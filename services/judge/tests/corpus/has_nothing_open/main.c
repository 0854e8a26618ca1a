#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
    for (int file = 0; file < 1024; file++) if (fcntl(file, F_GETFD) >= 0) printf("%d ", file);
    printf("%d\n", getuid() >= 1000 && getgid() >= 1000 && getgroups(0, 0) == 0);
    return 0;
}
