print("x" * 1000000, end="")
