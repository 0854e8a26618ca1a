public class Main {
    static int depth;

    static void recurse() {
        depth++;
        recurse();
    }

    public static void main(String[] arguments) {
        try {
            recurse();
        } catch (StackOverflowError error) {
            System.out.println(depth > 5000);
        }
    }
}
