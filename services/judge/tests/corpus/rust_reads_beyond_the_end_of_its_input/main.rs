use std::io::Read;

fn main() -> std::io::Result<()> {
    let mut text = String::new();
    let all = std::io::stdin().read_to_string(&mut text)?;
    let end = std::io::stdin().read_to_string(&mut text)?;
    println!("{} {} {}", all, end, std::fs::read("/dev/stdin")?.len());
    Ok(())
}
