import java.util.*;

public class Main {
    interface Sum { int of(int a, int b); }

    static class Numbers {
        final Scanner in = new Scanner(System.in);
    }

    public static void main(String[] arguments) {
        Scanner in = new Numbers().in;
        Sum sum = (a, b) -> a + b;
        System.out.println(sum.of(in.nextInt(), in.nextInt()));
    }
}
