fun main() {
    try {
        println(LongArray(1 shl 30).size)
    } catch (error: OutOfMemoryError) {
        error.printStackTrace()
    }
    error("other")
}
