fn depth(left: u32) -> u32 {
    let mut frame = [0_u8; 96];
    // A volatile access keeps the frame on the stack.
    unsafe { std::ptr::write_volatile(&mut frame[left as usize % 96], 1) };
    if left == 0 { 0 } else { depth(left - 1) + unsafe { u32::from(std::ptr::read_volatile(&frame[left as usize % 96])) } }
}

fn main() {
    println!("{}", depth(1_000_000));
}
