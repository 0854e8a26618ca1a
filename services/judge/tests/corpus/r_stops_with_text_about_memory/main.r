f <- function() stop("cannot allocate vector of size 8 Gb")
f()
