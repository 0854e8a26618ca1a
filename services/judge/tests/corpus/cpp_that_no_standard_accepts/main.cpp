int checked(int number) throw(int) { return number; }

int main() { return checked("text"); }
