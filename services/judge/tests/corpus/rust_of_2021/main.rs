struct Pair {
    left: String,
    right: String,
}

fn main() {
    let mut pair = Pair { left: "left".into(), right: "right".into() };
    let right = &pair.right;
    let mut push = || pair.left.push('!');
    push();
    println!("{right}");
    let total: i32 = [20, 22].into_iter().filter(|number| i64::try_from(*number).is_ok()).sum();
    println!("{} {total}", pair.left);
}
