import java.util.concurrent.*;

public class Main {
    public static void main(String[] arguments) throws Exception {
        ExecutorService pool = Executors.newSingleThreadExecutor(task -> {
            Thread thread = new Thread(task);
            thread.setDaemon(true);
            return thread;
        });
        System.out.println(pool.submit(() -> new long[1 << 28].length).get());
    }
}
