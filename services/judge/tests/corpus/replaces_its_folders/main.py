import os

for action in (
    lambda: os.rmdir("/box/work"), lambda: os.rename("/box/work", "/box/mine"), lambda: os.symlink("/etc", "/box/etc"),
    lambda: os.rename("/box/program", "/tmp/program"), lambda: os.mkdir("/box/new"), lambda: os.rmdir("/tmp/../tmp"),
    lambda: os.chmod("/box", 0o777), lambda: os.chmod("/box/program", 0o777),
):
    try:
        action()
        print("done")
    except OSError:
        pass
os.chmod("/box/work", 0)
os.chmod("/tmp", 0)
print("ok")
