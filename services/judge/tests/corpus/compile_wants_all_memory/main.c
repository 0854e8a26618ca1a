__asm__(".rept 40000000\n.byte 1\n.endr");

int main(void) {
    return 0;
}
