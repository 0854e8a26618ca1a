//! Adds the commit to the version, for `--version`, heartbeats, metrics and traces.
//!
//! Release builds take it from git. Other builds do not, since every commit would compile this crate and its dependents
//! again. `GAVEL_COMMIT` replaces git, for builds without a repository.

#[path = "build/commit.rs"]
mod commit;

use std::env::{self, VarError};
use std::path::Path;

use commit::Commit;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-env-changed=GAVEL_COMMIT");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build/commit.rs");
    let version = env::var("CARGO_PKG_VERSION")?;
    let commit = match env::var("GAVEL_COMMIT") {
        Ok(text) if !text.trim().is_empty() => Some(Commit::parse(&text)?),
        Ok(_) | Err(VarError::NotPresent) => from_git()?,
        Err(error) => return Err(error.into()),
    };
    let (long, short) = commit.map_or_else(
        || (version.clone(), version.clone()),
        |commit| (format!("{version} ({})", commit.text()), format!("{version}+{}", commit.hash)),
    );
    println!("cargo::rustc-env=GAVEL_VERSION={long}");
    println!("cargo::rustc-env=GAVEL_BUILD={short}");
    Ok(())
}

/// The commit of this repository, in release builds.
fn from_git() -> Result<Option<Commit>, VarError> {
    if env::var("PROFILE")? != "release" {
        return Ok(None);
    }
    let folder = env::var("CARGO_MANIFEST_DIR")?;
    let repository = Path::new(&folder).join("../..");
    for path in commit::changed_by_a_commit(&repository) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    Ok(commit::of_repository(&repository))
}
