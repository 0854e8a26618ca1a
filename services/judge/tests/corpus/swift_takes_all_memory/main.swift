var rows: [[Int]] = []
while true {
    rows.append(Array(repeating: rows.count, count: 100_000))
}
