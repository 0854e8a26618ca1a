class Main {
    public static void main(String[] arguments) {
        System.out.println("first");
    }
}

public class Task {
    public static void main(String[] arguments) {
        System.out.println("hello");
    }
}
