int main() {
    std::string text;
}
