rows = []
loop { rows << "x" * (1 << 20) }
