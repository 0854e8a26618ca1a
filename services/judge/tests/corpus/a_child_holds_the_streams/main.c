#include <unistd.h>

int main(void) {
    if (!fork()) {
        setsid();
        for (;;) pause();
    }
    write(1, "done\n", 5);
    return 0;
}
