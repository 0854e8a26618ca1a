import java.util.*;

public class Main {
    public static void main(String[] arguments) {
        List<byte[]> blocks = new ArrayList<>(61 << 10);
        for (int i = 0; i < 61 << 10; i++) blocks.add(new byte[1024 - 16]);
        System.out.println(blocks.size());
    }
}
