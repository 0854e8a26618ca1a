# Works for as much CPU time as the first line of the input says: "MODE MICROSECONDS".
import os, resource, sys, time


def used_us():
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (time.process_time() + children.ru_utime + children.ru_stime) * 1e6


def work():
    return sum(i * i for i in range(400))


mode, target = input().split()
if mode == "read":
    sys.stdin.read()
pieces = 0
while used_us() < int(target):
    if mode == "fork":
        child = os.fork()
        if child == 0:
            for _ in range(20):
                work()
            os._exit(0)
        os.waitpid(child, 0)
    else:
        work()
    if mode == "sleep" and pieces % 20 == 0:
        time.sleep(0.0003)
    if mode == "write" and pieces < 1000:
        sys.stdout.write("x" * 999 + "\n")
    pieces += 1
print("done")
