import java.util.Scanner;

public class Main {
    public static void main(String[] args) throws Exception {
        System.out.println(System.in.read() + " " + new Scanner(System.in).hasNext() + " " + System.in.available());
    }
}
