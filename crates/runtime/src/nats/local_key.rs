//! The key of the nats-server that `gavel up` starts. The programs that the same user starts on the same machine find it
//! by the port of the server, so that they need no options; other users cannot read it.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

use axum::http::Uri;
use gavel_bus::NatsConfig;
use gavel_bus::identity::Credentials;
use gavel_domain::Secret;

/// Registers the key in `file` for the server on this port of the loopback interface.
///
/// # Errors
/// Returns an error if the user has no home directory, or cannot write there.
pub fn register(port: u16, file: &Path) -> io::Result<()> {
    let link = link(port).ok_or(io::ErrorKind::NotFound)?;
    if let Some(directory) = link.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    unregister(port);
    symlink(file, link)
}

/// Removes what [`register`] has made.
pub fn unregister(port: u16) {
    if let Some(link) = link(port) {
        // It may be missing.
        let _ = std::fs::remove_file(link);
    }
}

/// Adds the registered key, if the settings name a server of this machine and no credentials.
#[must_use]
pub fn add(config: NatsConfig) -> NatsConfig {
    if config.credentials.is_some() {
        return config;
    }
    let file = local_port(&config.url).and_then(link);
    // Without a file the server is not one of `gavel up`.
    let seed = file.and_then(|file| std::fs::read_to_string(file).ok());
    NatsConfig { credentials: seed.map(|seed| Credentials::NKey(Secret::new(seed.trim()))), ..config }
}

/// The link to the key: in the user's state directory, as the XDG Base Directory Specification defines it.
fn link(port: u16) -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = state.or_else(|| Some(std::env::home_dir()?.join(".local/state")))?;
    Some(state.join("gavel").join(format!("nats-{port}.nk")))
}

/// The port of the one server in the URL, if that is on the loopback interface and the URL has no user.
fn local_port(url: &str) -> Option<u16> {
    let url = if url.contains("://") { url.to_owned() } else { format!("nats://{url}") };
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?;
    let is_local = ["127.0.0.1", "localhost", "[::1]"].contains(&authority.host());
    (is_local && !authority.as_str().contains(['@', ','])).then(|| authority.port_u16().unwrap_or(4222))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_local_server_without_a_user_has_a_local_port() {
        for (url, port) in [
            ("nats://127.0.0.1:4222", Some(4222)),
            ("localhost", Some(4222)),
            ("nats://[::1]:5000", Some(5000)),
            ("nats://127.0.0.1:4222,nats://127.0.0.1:4223", None),
            ("nats://user:password@127.0.0.1:4222", None),
            ("nats://nats.internal:4222", None),
        ] {
            assert_eq!(local_port(url), port, "{url}");
        }
    }
}
