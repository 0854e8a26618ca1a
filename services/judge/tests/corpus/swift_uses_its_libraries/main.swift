import Dispatch
import Foundation

struct Point: CustomStringConvertible {
    var description: String { return "P" }
}

print(String(format: "%.3f", sqrt(2.0)))

let queue = DispatchQueue(label: "sum")
let group = DispatchGroup()
nonisolated(unsafe) var sum = 0
for number in 1...10 {
    queue.async(group: group) { sum += number }
}
group.wait()
print(sum)

func double(_ number: Int) async -> Int {
    return number * 2
}
print(await Task { await double(21) }.value)

let year = DateFormatter()
year.dateFormat = "yyyy"
year.timeZone = TimeZone(identifier: "UTC")
print(year.string(from: Date(timeIntervalSince1970: 0)))

if let match = "ab12cd".firstMatch(of: #/\d+/#) {
    print(match.0)
}
let anything: Any = Point()
print((anything as? CustomStringConvertible)?.description ?? "no conformance")
print("é".uppercased(), "a,b".components(separatedBy: ","))
print(String(data: try JSONSerialization.data(withJSONObject: ["a": 1]), encoding: .utf8)!)
print(FileHandle.standardInput.readDataToEndOfFile().count)
