#![crate_type = "lib"]

pub fn one() -> i32 {
    1
}

fn main() {}
