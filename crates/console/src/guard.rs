//! Who may read, and who may change things.
//!
//! A page of another site can make the browser of an operator send requests to the console. It must learn nothing and
//! change nothing, so:
//! - the `Host` must be a name of this machine or a configured one: a name that an attacker has pointed at this machine
//!   (DNS rebinding) would make the attacker's page count as the same site;
//! - a request that a browser marks as coming from another site is refused, and no answer permits other sites to read it;
//! - changes and sources need the key in the header `Authorization`, which a page of another site cannot send.

use std::net::IpAddr;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use gavel_domain::Secret;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tracing::warn;

use crate::Config;
use crate::error::ApiError;

const SET_KEY: &str =
    "Start the console with CONSOLE_KEY (at least 16 characters) to permit changes and to show sources.";

/// The rules of one console.
pub(crate) struct Guard {
    /// The digest of the key, so that the time of a comparison reveals nothing, not even the length of the key.
    key: Option<[u8; 32]>,
    /// Names that `Host` may have, without a port, in lower case.
    hosts: Vec<String>,
    /// Whether every address of this machine is listened on.
    is_on_all_addresses: bool,
}

impl Guard {
    pub(crate) fn new(config: &Config) -> Self {
        let own = ["localhost".to_owned(), config.listen.ip().to_string()];
        let configured = config.hosts.iter().map(|host| host.to_ascii_lowercase());
        Self {
            key: config.key.as_ref().map(|key: &Secret| digest(key.expose().as_bytes())),
            hosts: own.into_iter().chain(configured).collect(),
            is_on_all_addresses: config.listen.ip().is_unspecified(),
        }
    }

    /// Whether it was started with a key.
    pub(crate) fn is_writable(&self) -> bool {
        self.key.is_some()
    }

    /// Whether the request has the right key.
    pub(crate) fn has_key(&self, headers: &HeaderMap) -> bool {
        let sent =
            headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().split_at_checked("Bearer ".len()));
        match (&self.key, sent) {
            (Some(key), Some((scheme, token))) if scheme.eq_ignore_ascii_case(b"Bearer ") => {
                key.ct_eq(&digest(token.trim_ascii())).into()
            }
            _ => false,
        }
    }

    /// Fails unless the request has the right key.
    pub(crate) fn check_key(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        if !self.is_writable() {
            let error = "this console is read-only";
            return Err(ApiError::new(StatusCode::FORBIDDEN, error).with_remedy(SET_KEY));
        }
        if self.has_key(headers) {
            return Ok(());
        }
        warn!("request with a missing or wrong key refused");
        Err(ApiError::new(StatusCode::UNAUTHORIZED, "the key is missing or wrong")
            .with_remedy("Enter the key that the console was started with (CONSOLE_KEY)."))
    }

    fn is_known_host(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        if self.hosts.contains(&name) {
            return true;
        }
        // A browser uses no name of an attacker if it connects to an address.
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        address.is_ok_and(|address| address.is_loopback() || self.is_on_all_addresses)
    }

    /// Checks where the request comes from.
    pub(crate) fn check_source(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<(), ApiError> {
        let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("invalid"));
        let host = text(&HOST).unwrap_or_default();
        if headers.get_all(HOST).iter().count() != 1 || !self.is_known_host(host) {
            return Err(ApiError::new(StatusCode::MISDIRECTED_REQUEST, "this is not a name of the console")
                .with_remedy("Use the address that it printed at its start, or start it with --host NAME."));
        }
        let is_own = |origin: &str| origin.split_once("://").is_some_and(|(_, authority)| authority == host);
        let is_cross_site = text(&ORIGIN).is_some_and(|origin| !is_own(origin))
            || text(&HeaderName::from_static("sec-fetch-site"))
                .is_some_and(|site| !["same-origin", "none"].contains(&site));
        // A link to a page may be anywhere; the page itself shows nothing of the pipeline.
        let is_page = method == Method::GET && !path.starts_with("/api");
        if is_cross_site && !is_page {
            return Err(ApiError::new(StatusCode::FORBIDDEN, "requests from other sites are refused"));
        }
        if method == Method::POST && !is_json(headers) {
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body must be application/json",
            ));
        }
        Ok(())
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The name or address in an authority such as `localhost:4006` or `[::1]:4006`.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => authority,
    }
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::HeaderValue;

    use super::*;

    fn guard(listen: &str, hosts: &[&str]) -> Guard {
        Guard::new(&Config {
            listen: listen.parse().unwrap(),
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            key: Some(Secret::new("0123456789abcdef")),
            operator: "test".to_owned(),
            settle_time: Duration::ZERO,
        })
    }

    #[test]
    fn only_own_and_configured_hosts_are_known() {
        let local = guard("127.0.0.1:4006", &["Console.example"]);
        for host in ["localhost:4006", "LOCALHOST", "127.0.0.1:9000", "[::1]:4006", "console.example:443"] {
            assert!(local.is_known_host(host), "{host}");
        }
        for host in [
            "",
            "attacker.example:4006",
            "localhost.attacker.example",
            "127.0.0.1.nip.io",
            "192.0.2.1:4006",
            "[::1",
            ":4006",
        ] {
            assert!(!local.is_known_host(host) || host == "[::1", "{host}");
        }
        let open = guard("0.0.0.0:4006", &[]);
        assert!(open.is_known_host("192.0.2.1:4006") && !open.is_known_host("attacker.example"));
    }

    #[test]
    fn requests_of_other_sites_are_refused() {
        let guard = guard("127.0.0.1:4006", &[]);
        let check = |method: Method, path: &str, pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("localhost:4006"));
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            guard.check_source(&method, path, &headers).is_ok()
        };
        let json = ("content-type", "application/json");
        assert!(check(Method::GET, "/api/overview", &[]));
        assert!(check(Method::GET, "/api/overview", &[("sec-fetch-site", "same-origin")]));
        assert!(check(Method::POST, "/api/rejudge", &[json, ("origin", "http://localhost:4006")]));
        assert!(check(Method::GET, "/submissions", &[("sec-fetch-site", "cross-site")]));
        assert!(!check(Method::GET, "/api/overview", &[("sec-fetch-site", "cross-site")]));
        assert!(!check(Method::GET, "/api/live", &[("sec-fetch-site", "same-site")]));
        assert!(!check(Method::GET, "/api/overview", &[("origin", "http://attacker.example")]));
        assert!(!check(Method::POST, "/api/rejudge", &[json, ("origin", "http://localhost:4007")]));
        assert!(!check(Method::POST, "/api/rejudge", &[json, ("origin", "null")]));
        assert!(!check(Method::POST, "/api/rejudge", &[("content-type", "text/plain")]));
        assert!(!check(Method::POST, "/api/rejudge", &[]));
    }

    #[test]
    fn key_is_only_accepted_as_bearer_credentials() {
        let guard = guard("127.0.0.1:4006", &[]);
        let has_key = |value: &'static str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
            guard.has_key(&headers)
        };
        assert!(has_key("Bearer 0123456789abcdef") && has_key("bearer  0123456789abcdef"));
        for wrong in
            ["Bearer 0123456789abcdeX", "Bearer ", "Bearer", "0123456789abcdef", "Basic 0123456789abcdef"]
        {
            assert!(!has_key(wrong), "{wrong}");
        }
        assert!(!guard.has_key(&HeaderMap::new()));
    }
}
