__asm__(".section .interp,\"a\"\n.string \"/no/such/interpreter\"\n.text");

int main(void) { return 0; }
