public class Größe名 {
    public static void m\u0061in(String[] arguments) {
        String \u00e4 = "h\u0065llö";
        System.out.println(ä);
    }
}
