public class Main {
    public static void main(String[] arguments) throws Exception {
        throw new OutOfMemoryError("x");
    }
}
