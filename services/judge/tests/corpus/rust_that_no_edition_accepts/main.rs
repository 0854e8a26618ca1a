trait Shape {
    fn scaled(&self, u32) -> u32;
}

fn main() {
    let number: u32 = "text";
}
