static char image[200 << 20];

int main(void) {
    for (long i = 0; i < (long)sizeof image; i += 4096) image[i] = 1;
    return image[12345];
}
