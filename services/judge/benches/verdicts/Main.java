// Works for as much CPU time as the first line of the input says: "MODE MICROSECONDS".
import java.io.*;
import java.lang.management.ManagementFactory;
import java.util.*;

public class Main {
    static final com.sun.management.OperatingSystemMXBean SYSTEM =
        (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    static long usedUs() {
        return SYSTEM.getProcessCpuTime() / 1000;
    }

    static void work(int[] table) {
        for (int i = 0; i < 20000; i++) table[i * 79 % 16384] += i ^ table[i % 16384];
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        StringTokenizer first = new StringTokenizer(input.readLine());
        String mode = first.nextToken();
        long target = Long.parseLong(first.nextToken());
        if (mode.equals("read")) while (input.readLine() != null);
        Runnable worker = () -> {
            int[] table = new int[16384];
            while (usedUs() < target) work(table);
        };
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; mode.equals("threads") && i < 4; i++) threads.add(new Thread(worker));
        for (Thread thread : threads) thread.start();
        worker.run();
        for (Thread thread : threads) thread.join();
        System.out.println("done");
    }
}
