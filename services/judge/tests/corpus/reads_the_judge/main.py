import os

paths = ["/proc/1/" + name for name in ("environ", "mem", "maps", "cwd", "exe", "root", "fd", "fdinfo", "ns/net", "stack", "auxv")]
for path in paths:
    for look in (lambda: open(path, "rb").read(9), lambda: os.listdir(path), lambda: os.readlink(path)):
        try:
            print("read", path, look())
        except OSError:
            pass
print(sorted(os.environ))
