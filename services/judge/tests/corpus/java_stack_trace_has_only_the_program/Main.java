public class Task {
    public static void main(String[] arguments) {
        StackTraceElement[] trace = new Throwable().getStackTrace();
        System.out.println(trace.length + " " + trace[0]);
        throw new IllegalStateException("no");
    }
}
