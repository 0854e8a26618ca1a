public class CompileJava {
    static class MainClass {
    }

    public static void main(String[] arguments) {
        System.out.println(new MainClass().getClass().getName().equals("CompileJava$MainClass") ? "hello" : "");
    }
}
