__asm__(".data\n.fill 0x7fffffff, 1, 1");

int main(void) {
    return 0;
}
