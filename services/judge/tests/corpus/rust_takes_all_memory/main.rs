fn main() {
    let mut rows: Vec<Vec<u64>> = Vec::new();
    loop {
        rows.push((0..100_000).collect());
    }
}
