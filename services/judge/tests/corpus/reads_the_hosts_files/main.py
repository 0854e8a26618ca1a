import os

for path in (
    "/etc/shadow", "/etc/hostname", "/etc/ssh", "/root", "/root/.bashrc", "/home", "/sys", "/run", "/var/log", "/opt", "/srv", "/boot",
    "/proc/meminfo", "/proc/cmdline", "/proc/sys", "/proc/kcore", "/proc/mounts/..", "/proc/net", "/dev/sda", "/dev/kmsg", "/dev/mem",
    "/var/run/docker.sock", "/tmp/../root",
):
    if os.path.exists(path):
        print("seen", path)
# Of processes, itself, and at most the init of its slot.
seen = {int(name) for name in os.listdir("/proc") if name.isdigit()}
print({os.getpid()} <= seen <= {1, os.getpid()})
