cat(strrep("0123456789abcde\n", 524288))
quit(save = "no", status = 0, runLast = FALSE)
