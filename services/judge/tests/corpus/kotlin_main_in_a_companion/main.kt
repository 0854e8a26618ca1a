package org.example.contest

class Task {
    companion object {
        @JvmStatic
        fun main(arguments: Array<String>) {
            println("hello")
        }
    }
}
