const char interpreter[] __attribute__((section(".interp"))) = "/dev/null";

int main(void) { return 0; }
