#include <stdio.h>
#include <math.h>

int main(void) {
    int a, b;
    if (scanf("%d %d", &a, &b) != 2) return 1;
    printf("%.0f\n", sqrt((a + b) * (double)(a + b)));
    return 0;
}
