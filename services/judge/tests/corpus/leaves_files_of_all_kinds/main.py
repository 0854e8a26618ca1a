import os
import socket

for folder in ("/tmp", "/box/work"):
    os.makedirs(folder + "/a/b/c")
    open(folder + "/a/file", "w").write("x")
    os.symlink("/", folder + "/link")
    os.mkfifo(folder + "/fifo")
    socket.socket(socket.AF_UNIX).bind(folder + "/socket")
    os.chmod(folder + "/a", 0)
open("/dev/shm/shared", "w").write("x")
print("left")
