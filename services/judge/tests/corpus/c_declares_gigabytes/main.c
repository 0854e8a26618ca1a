#include <stdlib.h>

char a[1u << 31], b[1u << 31];

int main(int count, char **arguments) {
    a[count] = b[count + 1] = 1;
    return a[atoi(arguments[0])] + b[count];
}
