public class Main {
    public static void main(String[] arguments) throws Exception {
        System.err.println("java.lang.OutOfMemoryError: Java heap space");
        System.exit(3);
    }
}
