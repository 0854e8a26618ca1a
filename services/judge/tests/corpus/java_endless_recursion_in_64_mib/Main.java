public class Main {
    static int depth;

    static void recurse() {
        depth++;
        recurse();
    }

    public static void main(String[] arguments) {
        recurse();
    }
}
