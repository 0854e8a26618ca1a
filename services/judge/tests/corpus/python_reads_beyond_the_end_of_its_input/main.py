import os
import sys

lengths = [len(sys.stdin.read()), len(sys.stdin.read()), len(os.read(0, 64))]
print(*lengths, len(open("/dev/stdin").read()), len(open("/proc/self/fd/0").read()))
