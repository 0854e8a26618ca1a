cat("a\n")
x <- )
