def depth(left) = left == 0 ? 0 : depth(left - 1) + 1
puts depth(9000)
