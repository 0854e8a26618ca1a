use std::fs;
use std::io::Write;

fn main() -> std::io::Result<()> {
    println!("first");
    fs::write("/dev/stdout", fs::read("/dev/stdin")?)?;
    let mut output = fs::OpenOptions::new().append(true).open("/dev/stdout")?;
    output.write_all(b"last\n")?;
    fs::write("/dev/stderr", "error\n")
}
