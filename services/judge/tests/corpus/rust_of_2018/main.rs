mod numbers {
    pub async fn first() -> i32 {
        std::cmp::max(1, 2)
    }
}

trait Named {
    fn name(&self) -> String;
}

impl Named for i32 {
    fn name(&self) -> String {
        self.to_string()
    }
}

fn main() {
    let _later = numbers::first();
    let total: i32 = [20, 22].into_iter().map(|number: &i32| *number).sum();
    let named: &Named = &total;
    println!("{}", named.name());
}
