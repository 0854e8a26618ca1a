rows <- list()
repeat rows[[length(rows) + 1]] <- numeric(131072) + 1
