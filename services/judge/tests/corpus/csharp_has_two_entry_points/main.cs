class First {
    static void Main() {}
}

class Second {
    static void Main() {}
}
