#include <string.h>
#include <unistd.h>

static char text[8 << 20];

int main(void) {
    for (size_t at = 0; at < sizeof text; at += 16)
        memcpy(text + at, "0123456789abcde\n", 16);
    _exit(write(1, text, sizeof text) == sizeof text ? 0 : 1);
}
