public class Task {
    public static void main(String[] arguments) {
        int ä = "ö";
    }
}
