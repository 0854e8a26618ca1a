#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int main(void) {
    struct stat input;
    char byte;
    if (fstat(0, &input)) puts("no input");
    if (!S_ISREG(input.st_mode) || input.st_size) puts("not an empty file");
    if (input.st_mode & 0222) puts("changed by an earlier run, or writable");
    if ((fcntl(0, F_GETFL) & O_ACCMODE) != O_RDONLY) puts("not read-only");
    if (write(0, "x", 1) != -1 || ftruncate(0, 9) != -1) puts("written");
    fchmod(0, 0666);
    if (open("/proc/self/fd/0", O_RDWR | O_TRUNC) >= 0 && write(3, "x", 1) == 1) puts("written");
    if (read(0, &byte, 1)) puts("not empty");
    puts("ok");
    return 0;
}
