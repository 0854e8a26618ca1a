#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    for (int file = 0; file < 1024; file++) if (fcntl(file, F_GETFD) >= 0) printf("%d ", file);
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2] = {{~0u, ~0u, ~0u}, {~0u, ~0u, ~0u}};
    int failed = syscall(SYS_capget, &header, sets) != 0;
    for (int i = 0; i < 2; i++) failed |= (sets[i].effective | sets[i].permitted | sets[i].inheritable) != 0;
    printf("%d %d\n", !failed, getgroups(0, 0) == 0);
    return 0;
}
