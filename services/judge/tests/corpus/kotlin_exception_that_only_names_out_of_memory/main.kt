fun main() {
    throw RuntimeException("java.lang.OutOfMemoryError: Java heap space")
}
