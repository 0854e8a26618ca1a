//! Settings of the calls to Convex.

use std::net::IpAddr;
use std::time::Duration;

use gavel_config::{Env, request_timeout};
use gavel_domain::Secret;
use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::permits::CallPermits;
use crate::sign::{InvalidSecret, Signer};

/// The address of the Convex app, the credentials for it, and the limits of calls to it.
#[derive(Clone, Debug)]
pub struct ConvexConfig {
    /// `https://NAME.convex.site`, or `http://127.0.0.1:3211`; a trailing slash is allowed.
    pub site_url: String,
    /// Timeout of a call, from connecting to the end of the response.
    pub timeout: Duration,
    /// The permits that limit how many calls run in parallel.
    pub permits: CallPermits,
    /// Sent as a bearer token; without one, no token is sent.
    pub token: Option<Secret>,
    /// Secrets that sign each call (Standard Webhooks); without any, calls are not signed.
    pub signing_secrets: Vec<Secret>,
}

/// Why the settings are invalid.
#[derive(Debug, thiserror::Error)]
pub enum InvalidConfig {
    /// Not an absolute http(s) URL, or a URL with a user, a query or a fragment.
    #[error(
        "CONVEX_SITE_URL must be a URL such as https://NAME.convex.site, without user, password, query or fragment"
    )]
    Url,
    /// The token contains characters that an HTTP header cannot contain.
    #[error("CONVEX_TOKEN contains characters that are not allowed in an HTTP header")]
    Token,
    /// A signing secret does not have the form that Standard Webhooks defines.
    #[error("each of CONVEX_SIGNING_SECRETS must be whsec_ followed by 24 to 64 bytes in base64")]
    Secret,
    /// The HTTP client cannot be built.
    #[error("cannot build the HTTP client for Convex")]
    Client(#[source] reqwest::Error),
}

/// Validated settings, in the form that the client uses.
pub(crate) struct ValidatedConfig {
    /// The site URL; its path may end in a slash.
    pub(crate) base: Url,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) signer: Signer,
}

impl ConvexConfig {
    /// Reads the settings, and adds a problem to `env` if they are invalid.
    pub fn read(env: &mut Env) -> Self {
        let config = Self {
            site_url: env.required("CONVEX_SITE_URL", "URL of the Convex app, such as https://NAME.convex.site"),
            timeout: request_timeout(env),
            permits: CallPermits::new(env.number(
                "CONVEX_MAX_IN_FLIGHT",
                8,
                1,
                1_000,
                "parallel calls of one process to Convex, at most; retries get half of them",
            )),
            token: env.secret("CONVEX_TOKEN", "bearer token for calls to Convex; if unset, no token is sent"),
            signing_secrets: env.secrets(
                "CONVEX_SIGNING_SECRETS",
                "whsec_ secrets that sign calls to Convex (Standard Webhooks), comma-separated; if unset, calls are not signed",
            ),
        };
        if !config.site_url.is_empty()
            && let Err(error) = config.validate()
        {
            env.add_problem(error.to_string());
        }
        config
    }

    /// Whether calls send the token over a network without encryption.
    #[must_use]
    pub fn exposes_token(&self) -> bool {
        let is_exposed = |url: Url| {
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
            let is_local =
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
            url.scheme() == "http" && !is_local
        };
        self.token.is_some() && Url::parse(&self.site_url).is_ok_and(is_exposed)
    }

    /// Validates the settings.
    pub(crate) fn validate(&self) -> Result<ValidatedConfig, InvalidConfig> {
        let url = Url::parse(&self.site_url).map_err(|_| InvalidConfig::Url)?;
        let is_anonymous = url.username().is_empty() && url.password().is_none();
        let is_plain = url.query().is_none() && url.fragment().is_none() && is_anonymous;
        if !matches!(url.scheme(), "http" | "https") || !is_plain {
            return Err(InvalidConfig::Url);
        }
        Ok(ValidatedConfig {
            base: url,
            authorization: self.token.as_ref().map(bearer).transpose()?,
            signer: Signer::new(&self.signing_secrets).map_err(|InvalidSecret| InvalidConfig::Secret)?,
        })
    }
}

/// Reads `RUNNING_LINGER_MS`: how long after its timeout Convex may still apply a *running* callback.
pub fn running_linger(env: &mut Env) -> Duration {
    env.millis(
        "RUNNING_LINGER_MS",
        Duration::from_secs(30),
        "how long after a timeout Convex may still apply a running callback, in milliseconds; then the result is sent again",
    )
}

/// The authorization header; its value is redacted in `Debug` output.
fn bearer(token: &Secret) -> Result<HeaderValue, InvalidConfig> {
    let header = HeaderValue::try_from(format!("Bearer {}", token.expose()));
    let mut header = header.map_err(|_| InvalidConfig::Token)?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_exposed_by_http_to_another_machine() {
        let exposes = |url: &str, token: Option<&str>| {
            let variables = [("CONVEX_SITE_URL", Some(url)), ("CONVEX_TOKEN", token)];
            let variables =
                variables.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
            ConvexConfig::read(&mut Env::from_vars(variables)).exposes_token()
        };
        assert!(exposes("http://convex.example", Some("t")) && exposes("http://10.0.0.1:3211", Some("t")));
        assert!(!exposes("http://convex.example", None) && !exposes("https://convex.example", Some("t")));
        for local in ["http://127.0.0.1:3211", "http://localhost:3211", "http://[::1]:3211"] {
            assert!(!exposes(local, Some("t")), "{local}");
        }
    }
}
