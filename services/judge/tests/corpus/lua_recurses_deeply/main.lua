local function depth(left) return left == 0 and 0 or depth(left - 1) + 1 end
print(depth(150000))
