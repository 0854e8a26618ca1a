import java.nio.ByteBuffer;

public class Main {
    public static void main(String[] arguments) {
        byte[] heap = new byte[510 << 20];
        for (int at = 0; at < heap.length; at += 4096) heap[at] = 1;
        ByteBuffer direct = ByteBuffer.allocateDirect(510 << 20);
        for (int at = 0; at < direct.capacity(); at += 4096) direct.put(at, (byte) 1);
        System.out.println(heap.length + direct.capacity());
    }
}
