#include <fcntl.h>
#include <stdio.h>

int main(void) {
    int count = 0;
    while (open("/dev/null", O_RDONLY) >= 0) count++;
    printf("%d\n", count);
    return 0;
}
