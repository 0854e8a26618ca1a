import os

boxes = ("/box", "/box/program") if os.getuid() else ()
for folder in ("/", "/usr", "/usr/bin", "/etc", "/dev", *boxes, "/proc/self", "/proc/1", "/usr/local"):
    try:
        open(folder + "/x", "w")
        print("wrote", folder)
    except OSError:
        pass
for path in ("/usr/bin/python3", "/etc/passwd", "/proc/self/oom_score_adj", "/proc/1/oom_score_adj"):
    try:
        open(path, "r+b")
        print("opened", path)
    except OSError:
        pass
if not boxes:
    open("/box/x", "w")
print("ok")
