public class Main {
    public static void main(String[] arguments) {
        byte[] all = new byte[89 << 20];
        for (int at = 0; at < all.length; at += 4096) all[at] = 1;
        System.out.println(all[0] + all[all.length - 4096]);
    }
}
