var depth = 0

fun recurse() {
    depth++
    recurse()
    depth++
}

fun main() {
    try {
        recurse()
    } catch (error: StackOverflowError) {
        println(depth > 5000)
    }
}
