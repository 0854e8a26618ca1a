import os

for how in ("r+b", "wb", "ab"):
    try:
        file = open("/proc/self/fd/0", how, 0)
        file.write(b"y")
        print("written")
    except OSError:
        print("no")
print(os.read(0, 9))
