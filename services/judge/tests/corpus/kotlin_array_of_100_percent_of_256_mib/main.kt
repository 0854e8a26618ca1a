fun main() {
    val all = ByteArray(256 shl 20)
    for (at in all.indices step 4096) all[at] = 1
    println(all.size shr 20)
}
