//! The users of a deployment: `deploy/nats/accounts.conf`, with keys that are made for the test.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gavel_bus::identity;
use tempfile::TempDir;

/// The users of `deploy/nats/accounts.conf`.
const ROLES: [&str; 7] = ["ingress", "fetcher", "judge", "reporter", "tap", "deploy", "ops"];
/// The list of users of the account with the streams.
const USERS: &str = "    users: [\n";
/// One more user, for the test itself: it may do everything, and needs no key.
const TEST_USER: &str = "      { user: test, password: test }\n";

/// The users of one server, or of all servers of a cluster.
#[derive(Debug)]
pub(super) struct Roles {
    directory: TempDir,
    /// The public key of each role.
    public_keys: Vec<(&'static str, String)>,
}

impl Roles {
    /// Makes a key for each role.
    pub(super) fn create() -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("gavel-keys-").tempdir()?;
        let mut public_keys = Vec::new();
        for role in ROLES {
            let (seed, public) = identity::new_user();
            fs::write(directory.path().join(format!("{role}.nk")), seed.expose())?;
            public_keys.push((role, public));
        }
        let deployed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/nats/accounts.conf");
        let text = fs::read_to_string(deployed)?;
        let text = text.replacen(USERS, &format!("{USERS}{TEST_USER}"), 1);
        fs::write(directory.path().join("accounts.conf"), text)?;
        Ok(Self { directory, public_keys })
    }

    /// The lines of a server's configuration.
    pub(super) fn config(&self) -> String {
        // The server takes the path as relative to the including file, even if it is absolute.
        let path = format!("{}{}/accounts.conf", "../".repeat(32), self.directory.path().display());
        format!("include \"{path}\"\nno_auth_user: test\n")
    }

    /// The environment of a server.
    pub(super) fn server_env(&self) -> impl Iterator<Item = (String, &str)> {
        let variable = |role: &str| format!("NATS_NKEY_{}", role.to_ascii_uppercase());
        self.public_keys.iter().map(move |(role, public)| (variable(role), public.as_str()))
    }

    /// The file with a role's key.
    pub(super) fn seed(&self, role: &str) -> PathBuf {
        assert!(ROLES.contains(&role), "there is no role {role}");
        self.directory.path().join(format!("{role}.nk"))
    }

    /// Replaces public keys in a text by the names of their roles.
    pub(super) fn name_keys(&self, text: &str) -> String {
        self.public_keys.iter().fold(text.to_owned(), |text, (role, public)| text.replace(public, role))
    }
}
