#include <errno.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <unistd.h>

int main(void) {
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)0x400000, 1};
    pid_t parent = getppid();
    printf("%d ", ptrace(PTRACE_ATTACH, parent, 0, 0) == -1 && errno == EPERM);
    printf("%d ", ptrace(PTRACE_SEIZE, parent, 0, 0) == -1 && errno == EPERM);
    printf("%d\n", process_vm_readv(parent, &here, 1, &there, 1, 0) == -1 && errno == EPERM);
    return 0;
}
