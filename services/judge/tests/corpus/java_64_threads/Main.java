import java.util.concurrent.CountDownLatch;

public class Main {
    public static void main(String[] arguments) throws Exception {
        int count = 64;
        CountDownLatch end = new CountDownLatch(1);
        Thread[] threads = new Thread[count];
        for (int i = 0; i < count; i++) {
            threads[i] = new Thread(() -> {
                try {
                    end.await();
                } catch (InterruptedException interrupted) {
                }
            });
            threads[i].setDaemon(true);
            threads[i].start();
        }
        end.countDown();
        for (Thread thread : threads) thread.join();
        System.out.println(count);
    }
}
