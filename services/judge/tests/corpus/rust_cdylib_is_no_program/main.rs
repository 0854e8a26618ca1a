#![crate_type = "cdylib"]

pub fn one() -> i32 {
    1
}

fn main() {}
