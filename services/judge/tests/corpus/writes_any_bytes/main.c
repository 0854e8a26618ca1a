#include <unistd.h>

int main(void) {
    write(1, "\0\xff\xfe\xc3(\xed\xa0\x80\n", 9);
    return 0;
}
