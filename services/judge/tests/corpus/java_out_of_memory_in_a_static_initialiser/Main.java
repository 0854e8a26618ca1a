public class Main {
    static final long[] all = new long[1 << 28];

    public static void main(String[] arguments) throws Exception {
        System.out.println(all.length);
    }
}
