//! Who we are to the server, and how we know that it is the right one.

use std::fmt;
use std::path::PathBuf;

use async_nats::ConnectOptions;
use gavel_domain::Secret;

/// What the server lets us in with.
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

/// Credentials that can never work. What they are is not part of the text.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCredentials {
    /// Not the form of a `.creds` file.
    #[error("the creds file must hold a user's JWT and seed, as nsc writes them")]
    Creds,
    /// Not a seed.
    #[error("the NKey must be a user's seed, which begins with SU")]
    NKey,
}

impl Credentials {
    /// Whether they can work, as far as they show.
    ///
    /// # Errors
    /// [`InvalidCredentials`].
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

/// How TLS is made, where the server asks for it or the URL says `tls://`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The authorities that are trusted, as PEM; the system's, where there are none.
    pub ca: Option<PathBuf>,
    /// Our own certificate and its key, as PEM.
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

/// URLs as they may be shown: without what stands before an `@`.
pub(crate) struct Redacted<'a>(pub(crate) &'a str);

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.split(',').map(|url| url.rsplit('@').next().unwrap_or_default()))
            .finish()
    }
}

/// A new user of the server: the seed, which is the secret, and the public key, which the server is told.
#[must_use]
pub fn new_user() -> (Secret, String) {
    let pair = nkeys::KeyPair::new_user();
    (Secret::new(pair.seed().expect("a new pair has its seed")), pair.public_key())
}

/// The public key of a user's seed.
///
/// # Errors
/// [`InvalidCredentials::NKey`].
pub fn public_key(seed: &Secret) -> Result<String, InvalidCredentials> {
    let pair = nkeys::KeyPair::from_seed(seed.expose()).map_err(|_| InvalidCredentials::NKey)?;
    Ok(pair.public_key())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_known_from_what_is_none() {
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
    fn nothing_secret_shows() {
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
