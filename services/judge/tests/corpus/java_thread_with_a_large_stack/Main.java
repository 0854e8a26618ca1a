public class Main {
    static int depth(int left) {
        return left == 0 ? 0 : 1 + depth(left - 1);
    }

    public static void main(String[] arguments) throws Exception {
        Thread thread = new Thread(null, () -> System.out.println(depth(1_000_000)), "large", 1 << 29);
        thread.start();
        thread.join();
    }
}
