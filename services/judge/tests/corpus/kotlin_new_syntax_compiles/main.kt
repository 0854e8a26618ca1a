enum class Color { RED, GREEN }

sealed interface Shape

data object Dot : Shape

data class Circle(val radius: Int) : Shape

fun size(shape: Shape) = when (shape) {
    is Circle if shape.radius > 10 -> "large"
    is Circle, Dot -> "small"
}

fun main() {
    println("${Color.entries.first()} ${"a,b,c".split(',').size}")
    println((0..<3).toList())
    println(size(Circle(2)))
}
