import Foundation

enum Failure: Error { case no }

do {
    throw Failure.no
} catch {
    print(error)
    exit(3)
}
