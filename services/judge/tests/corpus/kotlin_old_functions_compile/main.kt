fun main(args: Array<String>) {
    val line = readLine()!!
    println(line.toUpperCase() + " " + line.toLowerCase() + " " + line.capitalize())
    println(listOf(1, 2, 3).sumBy { it * 2 })
    println(line[0].toInt())
    println(StringBuilder().appendln("x"))
}
