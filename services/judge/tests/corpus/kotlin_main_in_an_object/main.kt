object Task {
    @JvmStatic
    fun main(arguments: Array<String>) {
        println("hello")
    }
}
