import ctypes

libc = ctypes.CDLL(None)
for key in range(4711, 4719):
    assert libc.shmget(key, 4096, 0o1666) >= 0
    assert libc.semget(key, 1, 0o1666) >= 0
    assert libc.msgget(key, 0o1666) >= 0
print("left")
