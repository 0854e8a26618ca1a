fn main() {
    eprintln!("memory allocation of 8 bytes failed");
    panic!("memory allocation of 8 bytes failed");
}
