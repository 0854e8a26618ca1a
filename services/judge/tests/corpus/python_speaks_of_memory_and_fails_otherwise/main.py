import sys

print("MemoryError", file=sys.stderr)
raise ValueError("no")
