char data[1u << 30] = {1};

int main(void) { return data[5]; }
