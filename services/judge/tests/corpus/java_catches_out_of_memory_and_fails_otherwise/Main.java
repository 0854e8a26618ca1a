public class Main {
    public static void main(String[] arguments) throws Exception {
        try {
            System.out.println(new long[1 << 30].length);
        } catch (OutOfMemoryError error) {
            error.printStackTrace();
        }
        throw new IllegalStateException("other");
    }
}
