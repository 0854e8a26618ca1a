#include <stdio.h>

int main(void) {
    FILE *in = fopen("/dev/stdin", "r");
    FILE *out = fopen("/dev/stdout", "w");
    FILE *end = fopen("/dev/stdout", "a");
    FILE *err = fopen("/dev/stderr", "w");
    if (!in || !out || !end || !err) return 1;
    fputs("first\n", out);
    for (int c; (c = getc(in)) != EOF;) putc(c, out);
    fclose(out);
    fputs("last\n", end);
    fclose(end);
    fputs("error\n", err);
    return 0;
}
