public class Main {
    public static void main(String[] arguments) {
        try {
            while (true) {
                Thread thread = new Thread(() -> {
                    while (true) java.util.concurrent.locks.LockSupport.park();
                });
                thread.setDaemon(true);
                thread.start();
            }
        } catch (OutOfMemoryError error) {
            System.out.println("no more");
        }
    }
}
