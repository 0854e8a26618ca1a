#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
    char buffer[64];
    long all = read(0, buffer, sizeof buffer);
    long end = read(0, buffer, sizeof buffer);
    long still = read(0, buffer, sizeof buffer);
    int again = open("/dev/stdin", O_RDONLY), other = open("/proc/self/fd/0", O_RDONLY);
    long by_path = read(again, buffer, sizeof buffer);
    long by_link = read(other, buffer, sizeof buffer);
    printf("%ld %ld %ld %ld %ld\n", all, end, still, by_path, by_link);
    return 0;
}
