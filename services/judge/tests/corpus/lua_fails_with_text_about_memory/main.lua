error("not enough memory")
