//! Finds the nats-server program that tests start.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use gavel_inspect::{NoNatsServer, find_nats_server};

/// No usable nats-server was found. A test without its server fails; it is not skipped.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}. Install it with scripts/tools, or set NATS_SERVER to its path.")]
pub struct ProgramError(NoNatsServer);

/// Finds the program: the one that `NATS_SERVER` names; otherwise the workspace's `.tools/bin/nats-server`, or the one in
/// `PATH`.
///
/// # Errors
/// Returns an error if none of them is a nats-server that is new enough.
pub fn find() -> Result<PathBuf, ProgramError> {
    static FOUND: OnceLock<Result<PathBuf, ProgramError>> = OnceLock::new();
    FOUND.get_or_init(|| find_nats_server(candidates()).map_err(ProgramError)).clone()
}

fn candidates() -> Vec<PathBuf> {
    if let Some(named) = env::var_os("NATS_SERVER").filter(|named| !named.is_empty()) {
        return vec![PathBuf::from(named)];
    }
    // Cargo sets this variable when it runs a test. A test that is run by hand uses its value at build time.
    let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let packages = package.into_iter().chain([PathBuf::from(env!("CARGO_MANIFEST_DIR"))]);
    packages.filter_map(|package| in_tools(&package)).chain([PathBuf::from("nats-server")]).collect()
}

/// Finds `.tools/bin/nats-server` in the directory of a package or above it, up to the root of the workspace.
fn in_tools(package: &Path) -> Option<PathBuf> {
    let root = package.ancestors().position(|directory| directory.join("Cargo.lock").is_file())?;
    let mut directories = package.ancestors().take(root + 1);
    directories
        .find_map(|directory| Some(directory.join(".tools/bin/nats-server")).filter(|path| path.is_file()))
}
