#include <stdlib.h>

int main(void) {
    void *volatile block = malloc(1000);
    void *volatile same = block;
    malloc(10);
    free(block);
    free(same);
}
