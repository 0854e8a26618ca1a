import sys

print("MemoryError", file=sys.stderr)
raise RuntimeError("no\nMemoryError")
