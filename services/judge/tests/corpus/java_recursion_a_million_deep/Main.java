public class Main {
    static int[] next = new int[1_000_001];

    static int longest(int node, int best, long sum) {
        if (node == 1_000_000) return best;
        return Math.max(1 + longest(next[node], best, sum + node), (int) (sum & 1));
    }

    public static void main(String[] arguments) {
        for (int node = 0; node < next.length - 1; node++) next[node] = node + 1;
        System.out.println(longest(0, 0, 0));
    }
}
