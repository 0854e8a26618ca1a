public class Task {
    Main missing;

    public static void main(String[] arguments) {
    }
}
