/* Aims every system call that takes a process, a group or a user at every other process of the slot. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static void change_limits(pid_t pid) {
    for (int resource = 0; resource < 16; resource++) {
        unsigned long zero[2] = {0, 0};
        if (!syscall(SYS_prlimit64, pid, resource, zero, 0)) printf("limit %d of %d\n", resource, pid);
    }
}

static void change_priorities(pid_t pid) {
    struct { unsigned size, policy; unsigned long flags; int nice; unsigned priority; unsigned long rest[4]; } idle = {56, SCHED_IDLE};
    struct sched_param none = {0};
    unsigned long cpus[16] = {~0ul};
    syscall(SYS_setpriority, PRIO_PROCESS, pid, 19);
    syscall(SYS_setpriority, PRIO_PGRP, getpgid(pid), 19);
    syscall(SYS_setpriority, PRIO_USER, getuid(), 19);
    syscall(SYS_sched_setscheduler, pid, SCHED_IDLE, &none);
    syscall(SYS_sched_setscheduler, pid, SCHED_BATCH | 0x40000000, &none);
    syscall(SYS_sched_setparam, pid, &none);
    syscall(SYS_sched_setattr, pid, &idle, 0);
    syscall(SYS_sched_setaffinity, pid, sizeof cpus, cpus);
    for (int who = 1; who <= 3; who++) syscall(SYS_ioprio_set, who, who == 3 ? (int)getuid() : pid, 3 << 13);
    syscall(SYS_prctl, 62, 1, pid, 1, 0);
    syscall(SYS_prctl, 62, 2, pid, 1, 0);
}

static void send_signals(pid_t pid, int pidfd) {
    for (int number = 1; number <= 64; number++) {
        siginfo_t info;
        memset(&info, 0, sizeof info);
        info.si_signo = number;
        info.si_code = SI_QUEUE;
        syscall(SYS_kill, pid, number);
        syscall(SYS_tkill, pid, number);
        syscall(SYS_tgkill, pid, pid, number);
        syscall(SYS_rt_sigqueueinfo, pid, number, &info);
        syscall(SYS_rt_tgsigqueueinfo, pid, pid, number, &info);
        syscall(SYS_pidfd_send_signal, pidfd, number, 0, 0);
    }
    int ends[2];
    if (!pipe(ends)) {
        fcntl(ends[0], F_SETOWN, pid);
        fcntl(ends[0], F_SETSIG, SIGKILL);
        fcntl(ends[0], F_SETFL, O_ASYNC);
        if (write(ends[1], "x", 1) != 1) puts("pipe");
    }
}

static void reach_memory(pid_t pid, int pidfd) {
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)0x400000, 1};
    unsigned long nodes = 1;
    syscall(SYS_ptrace, PTRACE_SEIZE, pid, 0, 0);
    if (syscall(SYS_process_vm_readv, pid, &here, 1, &there, 1, 0) == 1) puts("memory");
    if (syscall(SYS_pidfd_getfd, pidfd, 0, 0) >= 0) puts("descriptor");
    syscall(SYS_process_madvise, pidfd, &there, 1, 21, 0);
    syscall(SYS_process_mrelease, pidfd, 0);
    syscall(SYS_migrate_pages, pid, 8, &nodes, &nodes);
    syscall(SYS_move_pages, pid, 0, 0, 0, 0, 0);
    syscall(SYS_kcmp, pid, getpid(), 0, 0, 0);
    syscall(SYS_setpgid, pid, getpgrp());
}

static void write_files(pid_t pid) {
    const char *names[] = {"oom_score_adj", "oom_adj", "timerslack_ns", "autogroup", "coredump_filter", "comm",
                           "clear_refs", "make-it-fail", "loginuid", "mem", "uid_map", "attr/current"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/%s", pid, names[i]);
        int file = open(path, O_WRONLY);
        if (file >= 0 && write(file, "0", 1) == 1) printf("wrote %s\n", path);
    }
}

int main(void) {
    for (pid_t pid = 1; pid < 32768; pid++) {
        if (pid == getpid() || (kill(pid, 0) && errno == ESRCH)) continue;
        int pidfd = syscall(SYS_pidfd_open, pid, 0);
        change_limits(pid);
        change_priorities(pid);
        reach_memory(pid, pidfd);
        write_files(pid);
        send_signals(pid, pidfd);
    }
    puts("done");
    return 0;
}
