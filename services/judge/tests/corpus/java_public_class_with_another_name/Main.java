public class Solution {
    public static void main(String[] arguments) {
        System.out.println("hello");
    }
}
