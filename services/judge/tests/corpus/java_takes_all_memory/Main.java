import java.util.*;

public class Main {
    public static void main(String[] arguments) {
        List<int[]> rows = new ArrayList<>();
        while (true) rows.add(new int[100000]);
    }
}
