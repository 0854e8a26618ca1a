public class Main {
    public static void main(String[] arguments) {
        for (int i = 0; ; i++) {
            if (i == -1) System.out.println();
        }
    }
}
