trait Shape {
    fn scaled(&self, u32) -> u32;
}

struct Square(u32);

impl Shape for Square {
    fn scaled(&self, by: u32) -> u32 {
        self.0 * by
    }
}

fn main() {
    let async = 2;
    let shape: Box<Shape> = Box::new(Square(21));
    println!("{}", shape.scaled(async));
}
