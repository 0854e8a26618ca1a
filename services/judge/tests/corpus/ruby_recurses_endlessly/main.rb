def deeper(depth) = deeper(depth + 1) + depth
deeper(0)
