package org.example.contest;

public class Task {
    public static void main(String[] arguments) {
        System.out.println("hello");
    }
}
