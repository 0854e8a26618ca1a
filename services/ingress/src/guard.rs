//! Who may submit, and how often.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::Config;

/// Why a caller is turned away.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No key, or not one of ours; which of the two is not told.
    Unauthorized,
    /// Too many submissions.
    TooMany {
        /// When the next one may come.
        retry_after: Duration,
    },
}

/// Checks keys and rates.
pub(crate) struct Guard {
    /// Digests, so that comparing tells nothing, not even of a key's length.
    keys: Vec<[u8; 32]>,
    /// One for each key; a single one where there are no keys; empty where there is no limit.
    limiters: Vec<DefaultDirectRateLimiter>,
    /// For all callers together.
    all: Option<DefaultDirectRateLimiter>,
}

impl Guard {
    pub(crate) fn new(config: &Config) -> Self {
        let limiter = |rate| {
            let (rate, burst) = NonZeroU32::new(rate).zip(NonZeroU32::new(config.rate_limit_burst))?;
            Some(RateLimiter::direct(Quota::per_second(rate).allow_burst(burst)))
        };
        Self {
            keys: config.keys.iter().map(|key| digest(key.expose().as_bytes())).collect(),
            limiters: (0..config.keys.len().max(1))
                .filter_map(|_| limiter(config.rate_limit_per_s))
                .collect(),
            all: limiter(config.rate_limit_all_per_s),
        }
    }

    /// Whether the caller has a key, where there are any.
    pub(crate) fn knows(&self, headers: &HeaderMap) -> bool {
        self.keys.is_empty() || self.key(headers).is_some()
    }

    /// Lets a request pass, or not.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let caller = if self.keys.is_empty() { 0 } else { self.key(headers).ok_or(Refusal::Unauthorized)? };
        // Its own first: who is over that takes nothing from the others.
        for limiter in self.limiters.get(caller).into_iter().chain(&self.all) {
            limiter.check().map_err(|until| Refusal::TooMany {
                retry_after: until.wait_time_from(DefaultClock::default().now()),
            })?;
        }
        Ok(())
    }

    /// The place of the caller's key among ours. Either header will do, whatever is in the other one: a
    /// gateway in between may use `Authorization` for itself.
    fn key(&self, headers: &HeaderMap) -> Option<usize> {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
        let own = headers.get("x-code-exec-key").map(HeaderValue::as_bytes);
        [bearer, own].into_iter().flatten().find_map(|sent| self.place(sent))
    }

    /// Every key is compared, in constant time each.
    fn place(&self, sent: &[u8]) -> Option<usize> {
        let sent = digest(sent);
        let matches = |key: &[u8; 32]| bool::from(key.ct_eq(&sent));
        self.keys
            .iter()
            .enumerate()
            .fold(None, |found, (place, key)| if matches(key) { Some(place) } else { found })
    }
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// The token of a bearer's credentials; the scheme's name is in any case (RFC 9110 §11.1).
fn bearer(credentials: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = credentials.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}
