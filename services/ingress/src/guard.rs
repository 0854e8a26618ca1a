//! Who may submit, and how often.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use gavel_boot::env::Secret;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
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
    keys: Vec<Secret>,
    /// One for each key; a single one where there are no keys; empty where there is no limit.
    limiters: Vec<DefaultDirectRateLimiter>,
}

impl Guard {
    pub(crate) fn new(config: &Config) -> Self {
        let quota = NonZeroU32::new(config.rate_limit_per_s).zip(NonZeroU32::new(config.rate_limit_burst));
        let limiters = quota.map_or_else(Vec::new, |(rate, burst)| {
            let limiter = || RateLimiter::direct(Quota::per_second(rate).allow_burst(burst));
            (0..config.keys.len().max(1)).map(|_| limiter()).collect()
        });
        Self { keys: config.keys.clone(), limiters }
    }

    /// Whether the caller has a key, where there are any.
    pub(crate) fn knows(&self, headers: &HeaderMap) -> bool {
        self.keys.is_empty() || self.key(headers).is_some()
    }

    /// Lets a request pass, or not.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let caller = if self.keys.is_empty() { 0 } else { self.key(headers).ok_or(Refusal::Unauthorized)? };
        let Some(limiter) = self.limiters.get(caller) else { return Ok(()) };
        limiter.check().map_err(|until| Refusal::TooMany {
            retry_after: until.wait_time_from(DefaultClock::default().now()),
        })
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
        let matches = |key: &Secret| bool::from(key.expose().as_bytes().ct_eq(sent));
        self.keys
            .iter()
            .enumerate()
            .fold(None, |found, (place, key)| if matches(key) { Some(place) } else { found })
    }
}

/// The token of a bearer's credentials; the scheme's name is in any case (RFC 9110 §11.1).
fn bearer(credentials: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = credentials.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}
