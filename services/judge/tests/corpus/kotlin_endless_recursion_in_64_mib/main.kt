fun recurse(depth: Long): Long = 1 + recurse(depth + 1)

fun main() {
    println(recurse(0))
}
