use std::io::Write;

fn main() {
    let text = "0123456789abcde\n".repeat(524288);
    std::io::stdout().write_all(text.as_bytes()).unwrap();
    std::process::exit(0);
}
