record Task(int number) {
    public static void main(String[] arguments) {
        System.out.println(new Task(1).number == 1 ? "hello" : "");
    }
}
