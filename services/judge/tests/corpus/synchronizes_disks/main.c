#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void) {
    int tool = open("/usr/bin/gcc", O_RDONLY), own = open("/tmp/own", O_RDWR | O_CREAT, 0600);
    if (own < 0 || write(own, "x", 1) != 1 || fsync(own) || fdatasync(own)) puts("own file");
    /* The kernel itself refuses this on a pipe. */
    if (fsync(1)) puts("pipe");
    for (int i = 0; i < 1000; i++) {
        sync();
        if (syncfs(tool) || fsync(tool) || sync_file_range(tool, 0, 0, 7)) puts("toolchain");
        if (posix_fadvise(tool, 0, 0, POSIX_FADV_DONTNEED)) puts("advice");
    }
    char *mapped = mmap(0, 4096, PROT_READ, MAP_SHARED, tool, 0);
    if (mapped == MAP_FAILED || msync(mapped, 4096, MS_SYNC)) puts("mapping");
    puts("ok");
    return 0;
}
