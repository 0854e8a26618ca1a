public class Outer {
    private int main;

    static class Inner {
        public static void main(String[] arguments) {
            System.out.println("hello");
        }
    }
}
