#include <stdio.h>
#include <unistd.h>

int main(void) {
    char byte;
    close(0);
    printf("%zd\n", read(0, &byte, 1));
    return 0;
}
