import sys

print("   ".join(sys.stdin.read().upper().split()))
