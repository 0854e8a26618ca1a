everything = bytearray(1 << 50)
