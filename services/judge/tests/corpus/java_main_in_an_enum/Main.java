enum Task {
    ONE;

    public static void main(String[] arguments) {
        System.out.println("hello");
    }
}
