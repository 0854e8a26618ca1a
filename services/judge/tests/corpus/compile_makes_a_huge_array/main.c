char array[100 << 20] = {1};

int main(void) {
    return array[5];
}
