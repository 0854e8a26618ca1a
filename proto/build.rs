//! Compiles `gavel/v1/*.proto` without a `protoc` on the machine.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "gavel/v1/submission.proto",
        "gavel/v1/bundle.proto",
        "gavel/v1/callback.proto",
        "gavel/v1/presence.proto",
    ];
    let descriptors = protox::compile(files, ["."])?;
    prost_build::Config::new().skip_debug(["."]).compile_fds(descriptors)?;
    for file in files {
        println!("cargo::rerun-if-changed={file}");
    }
    Ok(())
}
