macro_rules! twice {
    ($($t:tt)*) => { twice!($($t)* $($t)*) };
}

fn main() {
    twice!(a);
}
