raise "failed to allocate memory (NoMemoryError)"
