//! Keeps `generated/gavel.v1.rs` current. The generator is a dependency of this test only, so that builds need not compile
//! it.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::{env, fs};

const SCHEMAS: [&str; 4] = [
    "gavel/v1/submission.proto",
    "gavel/v1/bundle.proto",
    "gavel/v1/callback.proto",
    "gavel/v1/presence.proto",
];

/// The code for all schemas. It needs no `protoc`.
fn generate() -> String {
    let out = tempfile::tempdir().unwrap();
    let descriptors = protox::compile(SCHEMAS, [env!("CARGO_MANIFEST_DIR")]).unwrap();
    prost_build::Config::new().skip_debug(["."]).out_dir(out.path()).compile_fds(descriptors).unwrap();
    fs::read_to_string(out.path().join("gavel.v1.rs")).unwrap()
}

#[test]
fn schemas_are_complete() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("gavel/v1");
    let files = fs::read_dir(folder).unwrap().count();
    assert_eq!(files, SCHEMAS.len(), "a schema is missing in SCHEMAS");
}

#[test]
fn generated_code_matches_schemas() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("generated/gavel.v1.rs");
    let generated = generate();
    if env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&path, &generated).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap() == generated,
        "generated/gavel.v1.rs is not current; run UPDATE_GENERATED=1 cargo test -p gavel-proto --test generated"
    );
}
