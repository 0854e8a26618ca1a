#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
    char byte;
    int again = open("/dev/stdin", O_RDONLY);
    printf("%d %zd %d\n", getchar(), read(again, &byte, 1), isatty(0));
    return 0;
}
