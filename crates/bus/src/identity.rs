//! The identity that a connection authenticates with, and the TLS settings that authenticate the server.

use std::fmt;
use std::path::PathBuf;

use async_nats::ConnectOptions;
use gavel_domain::Secret;

/// How to authenticate to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A user's JWT and seed, in the form of a `.creds` file.
    Creds(Secret),
    /// The seed of a user's `NKey`.
    NKey(Secret),
    /// A name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
}

/// Credentials that can never work. The error text does not contain them.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCredentials {
    /// Not the format of a `.creds` file.
    #[error("the creds file must hold a user's JWT and seed, as nsc writes them")]
    Creds,
    /// Not the seed of a user.
    #[error("the NKey must be a user's seed, which begins with SU")]
    NKey,
}

impl Credentials {
    /// Checks that the credentials are well-formed.
    ///
    /// # Errors
    /// Returns an error if they are not.
    pub fn check(&self) -> Result<(), InvalidCredentials> {
        self.apply(ConnectOptions::new()).map(drop)
    }

    pub(crate) fn apply(&self, options: ConnectOptions) -> Result<ConnectOptions, InvalidCredentials> {
        match self {
            Self::Creds(text) => options.credentials(text.expose()).map_err(|_| InvalidCredentials::Creds),
            Self::NKey(seed) => {
                let pair = nkeys::KeyPair::from_seed(seed.expose()).map_err(|_| InvalidCredentials::NKey)?;
                if pair.key_pair_type() != nkeys::KeyPairType::User {
                    return Err(InvalidCredentials::NKey);
                }
                Ok(options.nkey(seed.expose().to_owned()))
            }
            Self::Password { user, password } => {
                Ok(options.user_and_password(user.clone(), password.expose().to_owned()))
            }
        }
    }
}

/// The TLS settings, used if the server requires TLS or the URL starts with `tls://`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The trusted certificate authorities, as PEM; `None` for those of the system.
    pub ca: Option<PathBuf>,
    /// The client certificate and its key, as PEM.
    pub own: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    pub(crate) fn apply(&self, mut options: ConnectOptions) -> ConnectOptions {
        if let Some(ca) = &self.ca {
            options = options.add_root_certificates(ca.clone());
        }
        if let Some((certificate, key)) = &self.own {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        options
    }
}

/// URLs without user and password, for logs.
pub(crate) struct Redacted<'a>(pub(crate) &'a str);

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.split(',').map(|url| url.rsplit('@').next().unwrap_or_default()))
            .finish()
    }
}

/// Creates a user: the seed, which is secret, and the public key, which the server's configuration lists.
#[must_use]
pub fn new_user() -> (Secret, String) {
    let pair = nkeys::KeyPair::new_user();
    (Secret::new(pair.seed().expect("a new key pair has a seed")), pair.public_key())
}

/// Returns the public key of a user's seed.
///
/// # Errors
/// Returns an error if it is not a seed.
pub fn public_key(seed: &Secret) -> Result<String, InvalidCredentials> {
    let pair = nkeys::KeyPair::from_seed(seed.expose()).map_err(|_| InvalidCredentials::NKey)?;
    Ok(pair.public_key())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_other_than_a_user_seed_are_invalid() {
        let (seed, public) = new_user();
        assert_eq!(public_key(&seed).unwrap(), public);
        assert!(Credentials::NKey(seed).check().is_ok());
        let account = nkeys::KeyPair::new_account();
        for wrong in [public, account.seed().unwrap(), String::new()] {
            assert!(Credentials::NKey(Secret::new(&wrong)).check().is_err(), "{wrong}");
            assert!(Credentials::Creds(Secret::new(&wrong)).check().is_err(), "{wrong}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let (seed, _) = new_user();
        let all = [
            Credentials::NKey(seed.clone()),
            Credentials::Creds(seed.clone()),
            Credentials::Password { user: "gavel".to_owned(), password: seed.clone() },
        ];
        assert!(!format!("{all:?}").contains(seed.expose()));
        let shown = format!("{:?}", Redacted("nats://u:pass@word@h:1,n2, tls://token@n3"));
        assert_eq!(shown, r#"["h:1", "n2", "n3"]"#);
    }
}
