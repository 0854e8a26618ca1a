#include <signal.h>
#include <unistd.h>

int main(void) {
    write(1, "12345678901", 11);
    raise(SIGPIPE);
    return 0;
}
