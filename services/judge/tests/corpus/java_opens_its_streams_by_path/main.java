import java.io.FileOutputStream;
import java.nio.file.*;

public class Main {
    public static void main(String[] args) throws Exception {
        System.out.println("first");
        Files.write(Paths.get("/dev/stdout"), Files.readAllBytes(Paths.get("/dev/stdin")));
        try (FileOutputStream output = new FileOutputStream("/dev/stdout", true)) {
            output.write("last\n".getBytes());
        }
        Files.write(Paths.get("/dev/stderr"), "error\n".getBytes());
    }
}
