import os

for action in (
    lambda: os.rmdir("/box/work"), lambda: os.rename("/box/work", "/box/mine"), lambda: os.symlink("/etc", "/box/etc"),
    lambda: os.rename("/box/program", "/tmp/program"), lambda: os.mkdir("/box/new"), lambda: os.rmdir("/tmp/../tmp"),
    lambda: os.chmod("/box", 0o777), lambda: os.chmod("/box/program", 0o777),
):
    try:
        action()
        if os.getuid():
            print("done")
    except OSError:
        pass
for folder in ("/box/work", "/tmp"):
    if os.path.exists(folder):
        os.chmod(folder, 0)
print("ok")
