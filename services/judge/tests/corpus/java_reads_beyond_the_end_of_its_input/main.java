import java.nio.file.*;

public class Main {
    public static void main(String[] args) throws Exception {
        int all = System.in.readAllBytes().length, end = System.in.readAllBytes().length;
        System.out.println(all + " " + end + " " + Files.readAllBytes(Paths.get("/dev/stdin")).length);
    }
}
