use std::io::{self, BufRead};

fn main() {
    let sum: i32 = io::stdin().lock().lines().map(|line| line.unwrap().parse::<i32>().unwrap()).sum();
    println!("{sum}");
}
