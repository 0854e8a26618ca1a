import java.util.*;

public class Task {
    public static void main(String[] arguments) {
        System.out.println(Locale.getDefault() + " " + TimeZone.getDefault().getID() + " "
            + java.nio.charset.Charset.defaultCharset() + " " + System.console() + " "
            + String.format("%.2f", 1.5));
    }
}
