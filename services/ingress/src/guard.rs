//! Authentication and rate limits of callers.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::Config;

/// Why a request is denied.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The key is missing or wrong; the caller does not learn which.
    Unauthorized,
    /// The rate limit is exceeded.
    RateLimited {
        /// When the next submission is allowed.
        retry_after: Duration,
    },
}

/// Checks keys and rate limits.
pub(crate) struct Guard {
    /// Digests of the keys, so that the time of a comparison reveals nothing, not even the length of a key.
    keys: Vec<[u8; 32]>,
    /// One per key, or a single one if there are no keys; empty without a limit.
    limiters: Vec<DefaultDirectRateLimiter>,
    /// The limiter of all callers together.
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

    /// Whether the caller sends a valid key, or no keys are configured.
    pub(crate) fn is_authorized(&self, headers: &HeaderMap) -> bool {
        self.keys.is_empty() || self.key_index(headers).is_some()
    }

    /// Checks the key and counts the request towards the rate limits.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let caller =
            if self.keys.is_empty() { 0 } else { self.key_index(headers).ok_or(Denied::Unauthorized)? };
        // The caller's own limit first: a caller that exceeds it must not use up the limit of all.
        for limiter in self.limiters.get(caller).into_iter().chain(&self.all) {
            limiter.check().map_err(|until| Denied::RateLimited {
                retry_after: until.wait_time_from(DefaultClock::default().now()),
            })?;
        }
        Ok(())
    }

    /// Returns the index of the caller's key. A valid key in one header is enough, whatever the other header contains: a
    /// gateway in between may use `Authorization` for itself.
    fn key_index(&self, headers: &HeaderMap) -> Option<usize> {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| bearer_token(value.as_bytes()));
        let own = headers.get("x-code-exec-key").map(HeaderValue::as_bytes);
        [bearer, own].into_iter().flatten().find_map(|sent| self.find(sent))
    }

    /// Compares with every key, each in constant time.
    fn find(&self, sent: &[u8]) -> Option<usize> {
        let sent = digest(sent);
        let matches = |key: &[u8; 32]| bool::from(key.ct_eq(&sent));
        self.keys
            .iter()
            .enumerate()
            .fold(None, |found, (index, key)| if matches(key) { Some(index) } else { found })
    }
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// Returns the token of bearer credentials; the name of the scheme is case-insensitive (RFC 9110 §11.1).
fn bearer_token(credentials: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = credentials.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}
