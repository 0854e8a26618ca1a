public class Main {
    public static void main(String[] arguments) throws Exception {
        try {
            throw new IllegalStateException();
        } finally {
            System.out.println(new long[1 << 28].length);
        }
    }
}
