#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

int main(void) {
    int kinds[] = {RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_STACK, RLIMIT_NOFILE, RLIMIT_CORE};
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    for (int i = 0; i < 5; i++) if (!setrlimit(kinds[i], &all)) printf("lifted %d\n", i);
    struct sched_param first = {.sched_priority = 1};
    sched_setscheduler(0, SCHED_FIFO, &first);
    if (sched_getscheduler(0) != SCHED_OTHER) puts("real time");
    int before = getpriority(PRIO_PROCESS, 0);
    nice(-5);
    if (getpriority(PRIO_PROCESS, 0) != before) puts("nicer");
    puts("ok");
    return 0;
}
