public class Main {
    static int depth(int left) {
        return left == 0 ? 0 : 1 + depth(left - 1);
    }

    static void recurse() {
        depth(2_000_000);
        while (true) Thread.onSpinWait();
    }

    public static void main(String[] arguments) {
        for (int i = 0; i < 32; i++) new Thread(null, Main::recurse, "deep", 256 << 20).start();
    }
}
