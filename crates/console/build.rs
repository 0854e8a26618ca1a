//! Makes cargo embed the pages again when they change.

fn main() {
    println!("cargo::rerun-if-changed=dist");
}
