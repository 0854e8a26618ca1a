class Program {
    static int Deeper(int depth) { return Deeper(depth + 1) + depth; }

    static int Main() { return Deeper(0); }
}
