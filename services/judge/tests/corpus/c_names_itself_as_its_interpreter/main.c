const char interpreter[] __attribute__((section(".interp"))) = "/box/program/main";

int main(void) { return 0; }
