package foo

func One() int { return 1 }
