package main

import "os"

func main() {
	os.Stderr.WriteString("runtime: out of memory\n")
	panic("fatal error: runtime: out of memory")
}
