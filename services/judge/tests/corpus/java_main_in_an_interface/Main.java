public interface Task {
    static void main(String[] arguments) {
        System.out.println("hello");
    }
}
