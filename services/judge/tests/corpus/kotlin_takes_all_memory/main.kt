fun main() {
    val rows = ArrayList<IntArray>()
    while (true) rows.add(IntArray(100000))
}
