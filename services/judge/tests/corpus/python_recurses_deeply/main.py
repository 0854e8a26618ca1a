import sys

sys.setrecursionlimit(10**6)


def depth(left):
    return 0 if left == 0 else depth(left - 1) + 1


print(depth(150_000))
