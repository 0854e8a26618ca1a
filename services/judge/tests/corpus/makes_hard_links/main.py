import os

for path in ("/usr/bin/python3", "/etc/passwd", "/box/program/main.py", "/proc/self/exe", "/dev/null"):
    try:
        os.link(path, "/tmp/hard")
        print("linked", path)
    except OSError:
        pass
print("ok")
