import os

while sum(os.times()[:4]) < 0.5:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
print("done")
