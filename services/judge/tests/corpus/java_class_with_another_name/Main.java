class Helper {
    static String text() {
        return "hello";
    }
}

class Program {
    public static void main(String... arguments) {
        System.out.println(Helper.text());
    }
}
