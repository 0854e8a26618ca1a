public class Task extends Base {
    static String text() {
        return "hello";
    }
}

class Base {
    public static void main(String[] arguments) {
        System.out.println(Task.text());
    }
}
