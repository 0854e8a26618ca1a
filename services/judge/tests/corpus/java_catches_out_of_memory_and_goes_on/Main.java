public class Main {
    public static void main(String[] arguments) throws Exception {
        try {
            System.out.println(new long[1 << 28].length);
        } catch (OutOfMemoryError error) {
            System.out.println("caught");
        }
    }
}
