suspend fun main() {
    println("hello")
}
