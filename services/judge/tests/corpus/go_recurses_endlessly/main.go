package main

func deeper(depth int) int { return deeper(depth+1) + depth }

func main() { println(deeper(0)) }
