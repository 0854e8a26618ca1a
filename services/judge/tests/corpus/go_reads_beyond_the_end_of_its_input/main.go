package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	all, _ := io.ReadAll(os.Stdin)
	end, _ := io.ReadAll(os.Stdin)
	again, err := os.ReadFile("/dev/stdin")
	if err != nil {
		panic(err)
	}
	fmt.Println(len(all), len(end), len(again))
}
