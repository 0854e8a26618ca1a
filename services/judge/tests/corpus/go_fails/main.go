package main

func main() {
	var numbers map[string]int
	numbers["a"] = 1
}
