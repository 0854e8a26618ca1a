#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

int main(void) {
    struct sched_param none = {0};
    int before = getpriority(PRIO_PROCESS, 0);
    printf("%d ", sched_setscheduler(0, SCHED_IDLE, &none));
    printf("%d ", sched_setscheduler(0, SCHED_BATCH, &none));
    printf("%d ", sched_setparam(0, &none));
    printf("%d ", setpriority(PRIO_PROCESS, 0, 19));
    while (clock() < CLOCKS_PER_SEC / 2) {
    }
    printf("%d %d\n", sched_getscheduler(0), getpriority(PRIO_PROCESS, 0) - before);
    return 0;
}
