public class Main {
    static long sum(int left, long a, long b, long c, long d, long e, long f, long g) {
        if (left == 0) return a;
        return 1 + sum(left - 1, a, b + 1, c + b, d + c, e + d, f + e, g + f) + (g & 0);
    }

    public static void main(String[] arguments) {
        System.out.println(sum(1_500_000, 0, 1, 2, 3, 4, 5, 6));
    }
}
