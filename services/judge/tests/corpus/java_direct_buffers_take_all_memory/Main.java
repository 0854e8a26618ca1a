import java.nio.ByteBuffer;
import java.util.*;

public class Main {
    public static void main(String[] arguments) {
        List<ByteBuffer> buffers = new ArrayList<>();
        while (true) {
            ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 20);
            for (int at = 0; at < buffer.capacity(); at += 4096) buffer.put(at, (byte) 1);
            buffers.add(buffer);
        }
    }
}
