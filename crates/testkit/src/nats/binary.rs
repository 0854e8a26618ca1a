//! Finding the nats-server program.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use gavel_bus::topology::MIN_NATS_VERSION;

/// There is no nats-server to be used. A test without its server fails; it is not skipped.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NoServer {
    /// `NATS_SERVER` names something that is not a file.
    #[error("NATS_SERVER names {0}, which is not a file")]
    NotThere(PathBuf),
    /// Nothing anywhere.
    #[error(
        "no nats-server: NATS_SERVER is not set, there is no .tools/bin/nats-server, and none of at least {}.{} in PATH \
         ({in_path}); run scripts/tools",
        MIN_NATS_VERSION.0, MIN_NATS_VERSION.1
    )]
    NotFound {
        /// What `PATH` has to offer.
        in_path: String,
    },
}

/// The program that `NATS_SERVER` names, else the workspace's `.tools/bin/nats-server`, else one in `PATH` that is
/// new enough.
///
/// # Errors
/// [`NoServer`], with what to do about it.
pub fn find() -> Result<PathBuf, NoServer> {
    static FOUND: OnceLock<Result<PathBuf, NoServer>> = OnceLock::new();
    FOUND.get_or_init(look).clone()
}

fn look() -> Result<PathBuf, NoServer> {
    if let Some(named) = env::var_os("NATS_SERVER").filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        return if named.is_file() { Ok(named) } else { Err(NoServer::NotThere(named)) };
    }
    // Cargo sets it for a test that it runs; one that is run by hand has what it was built with.
    let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let packages = package.into_iter().chain([PathBuf::from(env!("CARGO_MANIFEST_DIR"))]);
    if let Some(found) = packages.into_iter().find_map(|package| in_tools(&package)) {
        return Ok(found);
    }
    let in_path = env::var_os("PATH").and_then(|path| in_path(&path));
    let Some(found) = in_path else {
        return Err(NoServer::NotFound { in_path: "nothing there".to_owned() });
    };
    let says = version_text(&found);
    if version(&says).is_some_and(|version| version >= MIN_NATS_VERSION) {
        return Ok(found);
    }
    Err(NoServer::NotFound { in_path: format!("{} says {:?}", found.display(), says.trim()) })
}

/// `.tools/bin/nats-server` in the directory or one above it, up to the workspace's root.
fn in_tools(package: &Path) -> Option<PathBuf> {
    let root = package.ancestors().position(|directory| directory.join("Cargo.lock").is_file())?;
    let mut directories = package.ancestors().take(root + 1);
    directories
        .find_map(|directory| Some(directory.join(".tools/bin/nats-server")).filter(|path| path.is_file()))
}

fn in_path(path: &OsStr) -> Option<PathBuf> {
    env::split_paths(path).map(|directory| directory.join("nats-server")).find(|path| path.is_file())
}

fn version_text(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output();
    output
        .map_or_else(|error| error.to_string(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Major and minor from `nats-server: v2.15.1`.
fn version(text: &str) -> Option<(u32, u32)> {
    let (_, numbers) = text.trim().rsplit_once('v')?;
    let mut numbers = numbers.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("nats-server: v2.15.1\n"), Some((2, 15)));
        assert!(version("nats-server: v2.9.25").unwrap() < MIN_NATS_VERSION);
        assert!(version("nats-server: v2.12.0-RC.1").unwrap() >= MIN_NATS_VERSION);
        assert_eq!(version("nats-server: command not found"), None);
    }

    #[test]
    fn the_message_says_what_to_run() {
        let text = NoServer::NotFound { in_path: "nothing there".to_owned() }.to_string();
        assert!(text.contains("scripts/tools") && text.contains("at least 2.12"), "{text}");
    }
}
