package org.example.contest

fun main(arguments: Array<String>) {
    println("hello ${arguments.size}")
}
