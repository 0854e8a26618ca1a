require "bigdecimal"
require "json"
require "matrix"
require "prime"
require "set"

puts Prime.first(3).sum, Matrix[[1, 2], [3, 4]].determinant, Set[1, 1, 2].size
puts BigDecimal("0.1") + BigDecimal("0.2") == BigDecimal("0.3"), JSON.generate({ a: 1 })
