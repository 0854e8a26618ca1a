import os

for path in (
    "/etc/shadow", "/etc/hostname", "/etc/ssh", "/root", "/root/.bashrc", "/home", "/sys", "/run", "/var/log", "/opt", "/srv", "/boot",
    "/proc/meminfo", "/proc/cmdline", "/proc/sys", "/proc/kcore", "/proc/mounts/..", "/proc/net", "/dev/sda", "/dev/kmsg", "/dev/mem",
    "/var/run/docker.sock", "/tmp/../root",
):
    if os.path.exists(path):
        print("seen", path)
print(sorted(int(name) for name in os.listdir("/proc") if name.isdigit()) == [1, os.getpid()])
