class Zebra extends Base {
    public static void main(String[] arguments) {
        System.out.println("hello");
    }
}

class Main {
    public static void main(String[] arguments) {
        System.out.println("second");
    }
}

class Base {
    public static void main(String[] arguments) {
        System.out.println("third");
    }
}
