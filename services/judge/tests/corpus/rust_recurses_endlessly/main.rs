fn deeper(depth: u64) -> u64 {
    let frame = depth;
    deeper(depth + 1) + unsafe { std::ptr::read_volatile(&frame) }
}

fn main() {
    println!("{}", deeper(0));
}
