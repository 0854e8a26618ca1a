//! Finds the nats-server program.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use gavel_bus::topology::MIN_NATS_VERSION;

/// No usable nats-server was found. A test without its server fails; it is not skipped.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProgramError {
    /// `NATS_SERVER` is not the path of a file.
    #[error("NATS_SERVER is {0}, which is not a file")]
    NotAFile(PathBuf),
    /// None of the places has a program that is new enough.
    #[error(
        "cannot find nats-server {}.{} or newer: NATS_SERVER is not set, .tools/bin/nats-server does not exist, and PATH has \
         {in_path}. Install it with scripts/tools.",
        MIN_NATS_VERSION.0, MIN_NATS_VERSION.1
    )]
    NotFound {
        /// What was found in `PATH`.
        in_path: String,
    },
}

/// Finds the program: the one that `NATS_SERVER` names, or the workspace's `.tools/bin/nats-server`, or one in `PATH`
/// that is new enough.
///
/// # Errors
/// Returns an error if `NATS_SERVER` is not a file, or if none of the places has a program that is new enough.
pub fn find() -> Result<PathBuf, ProgramError> {
    static FOUND: OnceLock<Result<PathBuf, ProgramError>> = OnceLock::new();
    FOUND.get_or_init(search).clone()
}

fn search() -> Result<PathBuf, ProgramError> {
    if let Some(named) = env::var_os("NATS_SERVER").filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        return if named.is_file() { Ok(named) } else { Err(ProgramError::NotAFile(named)) };
    }
    // Cargo sets this variable when it runs a test. A test that is run by hand uses its value at build time.
    let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let packages = package.into_iter().chain([PathBuf::from(env!("CARGO_MANIFEST_DIR"))]);
    if let Some(found) = packages.into_iter().find_map(|package| in_tools(&package)) {
        return Ok(found);
    }
    let in_path = env::var_os("PATH").and_then(|path| in_path(&path));
    let Some(found) = in_path else {
        return Err(ProgramError::NotFound { in_path: "none".to_owned() });
    };
    let text = version_text(&found);
    if version(&text).is_some_and(|version| version >= MIN_NATS_VERSION) {
        return Ok(found);
    }
    Err(ProgramError::NotFound { in_path: format!("{} with version {:?}", found.display(), text.trim()) })
}

/// Finds `.tools/bin/nats-server` in the directory of a package or above it, up to the root of the workspace.
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
    fn version_is_compared_as_numbers() {
        assert_eq!(version("nats-server: v2.15.1\n"), Some((2, 15)));
        assert!(version("nats-server: v2.9.25").unwrap() < MIN_NATS_VERSION);
        assert!(version("nats-server: v2.12.0-RC.1").unwrap() >= MIN_NATS_VERSION);
        assert_eq!(version("nats-server: command not found"), None);
    }

    #[test]
    fn error_names_the_remedy() {
        let text = ProgramError::NotFound { in_path: "none".to_owned() }.to_string();
        assert!(text.contains("scripts/tools") && text.contains("2.12 or newer"), "{text}");
    }
}
