main() {
    int *numbers = malloc(2 * sizeof(int));
    numbers[0] = 42;
    long *others = numbers;
    printf("%d\n", *(int *)others);
    return 0;
}
