import sys

sys.exit("MemoryError")
