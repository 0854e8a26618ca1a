public class Task {
    static void main(String[] arguments) {
    }

    public static int main(String argument) {
        return 0;
    }

    public static void Main(String[] arguments) {
    }
}
