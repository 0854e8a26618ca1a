//! Finds the nats-server program to start, and reads version numbers of servers.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use gavel_bus::topology::MIN_NATS_VERSION;

/// No candidate is a nats-server of at least [`MIN_NATS_VERSION`].
#[derive(Clone, Debug, thiserror::Error)]
pub struct NoNatsServer {
    /// The candidates that could be started, each with the first line of its `--version`.
    found: Vec<(PathBuf, String)>,
}

impl fmt::Display for NoNatsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = MIN_NATS_VERSION;
        write!(f, "nats-server {major}.{minor} or newer is required, but ")?;
        if self.found.is_empty() {
            return f.write_str("none was found");
        }
        for (n, (program, version)) in self.found.iter().enumerate() {
            let separator = if n == 0 { "" } else { ", " };
            write!(f, "{separator}{} is {version:?}", program.display())?;
        }
        Ok(())
    }
}

/// Returns the first candidate that is a nats-server of at least [`MIN_NATS_VERSION`]. A candidate without a slash is
/// searched in `PATH`. Blocks while each candidate prints its version.
///
/// # Errors
/// Returns an error if there is no such candidate.
pub fn find_nats_server(candidates: impl IntoIterator<Item = PathBuf>) -> Result<PathBuf, NoNatsServer> {
    let mut found = Vec::new();
    for candidate in candidates {
        let Some(text) = version_text(&candidate) else { continue };
        let version = text.rsplit_once('v').and_then(|(_, numbers)| nats_version(numbers));
        if version.is_some_and(|version| version >= MIN_NATS_VERSION) {
            return Ok(candidate);
        }
        found.push((candidate, text));
    }
    Err(NoNatsServer { found })
}

/// Major and minor version from a text such as `2.15.1`; `None` if the text is different.
#[must_use]
pub fn nats_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn version_text(program: &Path) -> Option<String> {
    let mut command = Command::new(program);
    // Any program may be a candidate: none gets the secrets of this process.
    command.arg("--version").env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn version_is_compared_as_numbers() {
        assert_eq!(nats_version("2.15.1"), Some((2, 15)));
        assert!(nats_version("2.9.25").unwrap() < MIN_NATS_VERSION);
        assert!(nats_version("2.12.0-RC.1").unwrap() >= MIN_NATS_VERSION);
        assert_eq!(nats_version("command not found"), None);
    }

    #[test]
    fn first_program_that_is_new_enough_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let program = |name: &str, version: &str| {
            let path = directory.path().join(name);
            fs::write(&path, format!("#!/bin/sh\necho 'nats-server: {version}'\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        let (old, new) = (program("old", "v2.9.25"), program("new", "v2.15.1"));
        let missing = directory.path().join("missing");
        assert_eq!(find_nats_server([missing.clone(), old.clone(), new.clone()]).unwrap(), new);
        let error = find_nats_server([missing.clone(), old]).unwrap_err().to_string();
        assert!(
            error.starts_with("nats-server 2.12 or newer is required, but ") && error.contains("v2.9.25"),
            "{error}"
        );
        let error = find_nats_server([missing]).unwrap_err().to_string();
        assert_eq!(error, "nats-server 2.12 or newer is required, but none was found");
    }
}
