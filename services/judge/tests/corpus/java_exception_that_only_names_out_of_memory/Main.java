public class Main {
    public static void main(String[] arguments) throws Exception {
        throw new RuntimeException("java.lang.OutOfMemoryError: Java heap space");
    }
}
