fun main() {
    println(generateSequence(::readLine).map(String::toInt).sum())
}
