local function deeper(depth) return deeper(depth + 1) + depth end
deeper(0)
