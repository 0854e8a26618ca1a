#include <errno.h>
#include <stdio.h>

int main(void) {
    int result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20));
    puts(result == -ENOSYS ? "ENOSYS" : "answered");
    return 0;
}
