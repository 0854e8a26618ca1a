#include <unistd.h>
#include <sys/syscall.h>

int main(void) {
    for (;;) syscall(SYS_getppid);
}
