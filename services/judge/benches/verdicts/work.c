/* Works for as much CPU time as the first line of the input says: "MODE MICROSECONDS". */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long used_us(void) {
    struct timespec own;
    struct rusage children;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    return own.tv_sec * 1000000L + own.tv_nsec / 1000 +
           (children.ru_utime.tv_sec + children.ru_stime.tv_sec) * 1000000L +
           children.ru_utime.tv_usec + children.ru_stime.tv_usec;
}

static unsigned table[16384];

static void work(void) {
    for (unsigned i = 0; i < 20000; i++) table[i * 7919 % 16384] += i ^ table[i % 16384];
}

int main(void) {
    char mode[16];
    long target;
    if (scanf("%15s %ld", mode, &target) != 2) return 1;
    if (!strcmp(mode, "read")) while (getchar() != EOF);
    for (long pieces = 0; used_us() < target; pieces++) {
        if (!strcmp(mode, "fork")) {
            if (!fork()) {
                for (int i = 0; i < 10; i++) work();
                _exit(0);
            }
            wait(0);
        } else {
            work();
        }
        if (!strcmp(mode, "sleep") && pieces % 20 == 0) usleep(300);
        if (!strcmp(mode, "write") && pieces < 1000) {
            for (int i = 0; i < 999; i++) putchar('x');
            putchar('\n');
        }
    }
    puts("done");
    return 0;
}
