import os
import sys

print(sys.stdin.read() == "", os.read(0, 9) == b"", open("/dev/stdin").read() == "", sys.stdin.isatty())
try:
    input()
except EOFError:
    print("end")
