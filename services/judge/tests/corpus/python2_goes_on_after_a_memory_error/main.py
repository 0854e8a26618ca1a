try:
    everything = bytearray(1 << 50)
except MemoryError:
    print "handled"
