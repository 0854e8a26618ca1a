#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REFUSED(call, ...) \
    if (syscall(SYS_##call, __VA_ARGS__) != -1 || errno != EPERM) puts(#call)

int main(void) {
    REFUSED(mount, 0, "/tmp", "tmpfs", 0, 0);
    REFUSED(unshare, 0x10000000);
    REFUSED(setns, 0, 0);
    REFUSED(clone, 0x10000011, 0, 0, 0, 0);
    REFUSED(keyctl, 0, 0, 0, 0);
    REFUSED(add_key, "user", "a", "b", 1, 0);
    REFUSED(bpf, 0, 0, 0);
    REFUSED(io_uring_setup, 1, 0);
    REFUSED(userfaultfd, 0);
    REFUSED(perf_event_open, 0, 0, 0, 0, 0);
    REFUSED(init_module, 0, 0, "");
    REFUSED(kexec_load, 0, 0, 0, 0);
    REFUSED(reboot, 0, 0, 0, 0);
    REFUSED(sethostname, "x", 1);
    REFUSED(open_by_handle_at, 0, 0, 0);
    REFUSED(quotactl_fd, 0, 0, 0, 0);
    REFUSED(inotify_init1, 0);
    REFUSED(fanotify_init, 0, 0);
    REFUSED(fcntl, 0, F_NOTIFY, DN_ACCESS);
    REFUSED(membarrier, 1, 0, 0);
    REFUSED(mknodat, AT_FDCWD, "/tmp/whiteout", S_IFCHR | 0666, 0);
    REFUSED(renameat2, AT_FDCWD, "/tmp/a", AT_FDCWD, "/tmp/b", 4);
    REFUSED(prlimit64, 1, 9, 0, 0);
    puts("ok");
    return 0;
}
