package main

import "fmt"

func depth(left int) int {
	var frame [64]byte
	frame[left%64] = 1
	if left == 0 {
		return 0
	}
	return depth(left-1) + int(frame[left%64])
}

func main() {
	fmt.Println(depth(1000000))
}
