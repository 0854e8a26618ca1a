package main

import "os"

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	os.Stdout.WriteString("first\n")
	input, err := os.ReadFile("/dev/stdin")
	check(err)
	check(os.WriteFile("/dev/stdout", input, 0o644))
	output, err := os.OpenFile("/dev/stdout", os.O_APPEND|os.O_WRONLY, 0)
	check(err)
	output.WriteString("last\n")
	check(os.WriteFile("/dev/stderr", []byte("error\n"), 0o644))
}
