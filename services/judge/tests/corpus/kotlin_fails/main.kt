fun main() {
    throw IllegalStateException("no")
}
