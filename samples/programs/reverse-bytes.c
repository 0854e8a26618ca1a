#include <stdio.h>
#include <string.h>

int main(void) {
    char line[4096];
    if (!fgets(line, sizeof line, stdin)) return 1;
    for (size_t i = strcspn(line, "\r\n"); i > 0; i--) putchar(line[i - 1]);
    putchar('\n');
    return 0;
}
