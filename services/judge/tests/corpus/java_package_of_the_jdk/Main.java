package java.lang;

public class Task {
    public static void main(String[] arguments) {
    }
}
