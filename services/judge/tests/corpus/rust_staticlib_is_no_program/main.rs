#![crate_type = "staticlib"]

pub fn one() -> i32 {
    1
}

fn main() {}
