var sum = 0
while let line = readLine(), let number = Int(line) {
    sum += number
}
print(sum)
