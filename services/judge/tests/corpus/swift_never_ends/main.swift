var count = 0
while true {
    count &+= 1
    if count == -1 { print(count) }
}
