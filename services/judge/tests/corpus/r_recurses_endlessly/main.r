deeper <- function(depth) deeper(depth + 1) + depth
deeper(0)
