//! What became of a call.

use std::time::Duration;

use gavel_telemetry::{Call, OK, call, table};

/// A call that did not end in a 2xx.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There was no connection, so Convex has seen nothing of the call.
    #[error("Convex cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The call was sent and no answer came: Convex may have done what it asks, or may yet do it.
    #[error("Convex did not answer")]
    NoAnswer(#[source] reqwest::Error),
    /// Convex answered, and what it answered is not success.
    #[error("Convex answered {status}")]
    Status {
        /// The HTTP status code.
        status: u16,
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
        /// The beginning of the answer. It may repeat what was sent, so it is not part of the error's text.
        body: Option<String>,
    },
    /// A page came instead of Convex's answer, as from a proxy or a sign-in in between.
    #[error("a page answered in Convex's place, with status {status}")]
    Page {
        /// The HTTP status code.
        status: u16,
    },
}

impl CallError {
    /// Takes reqwest's error apart. It never repeats the URL: that is configuration, and in every message.
    pub(crate) fn of(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_connect() { Self::Unreachable(error) } else { Self::NoAnswer(error) }
    }

    /// How long Convex asked us to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Unreachable(_) | Self::NoAnswer(_) | Self::Page { .. } => None,
        }
    }

    /// The HTTP status code, where Convex has answered.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::Unreachable(_) | Self::NoAnswer(_) | Self::Page { .. } => None,
        }
    }

    /// The beginning of what Convex said to it.
    #[must_use]
    pub fn quote(&self) -> Option<&str> {
        match self {
            Self::Status { body, .. } => body.as_deref(),
            Self::Unreachable(_) | Self::NoAnswer(_) | Self::Page { .. } => None,
        }
    }

    /// Whether the call can still take effect at Convex after it has ended here: there was no answer, or only a
    /// gateway's (RFC 9110, 502 and 504; Cloudflare's from 520 on), which does not know what became of it either.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Status { status, .. } => matches!(status, 502 | 504 | 520..),
            Self::Unreachable(_) | Self::Page { .. } => false,
        }
    }
}

/// The word for a refusal of who we are, which somebody must mend at once.
const DENIED: &str = "denied";
const PEER: &str = "convex";
const METHOD: &str = "POST";
/// All paths that are called.
pub const PATHS: [&str; 6] = [
    "/coding/testcases",
    "/coding/personalized-testcases",
    "/coding/submission-running",
    "/coding/personalized-submission-running",
    "/coding/submission-result",
    "/coding/personalized-submission-result",
];

/// The service that calls a path: each is one's alone.
fn service(endpoint: &str) -> &'static str {
    if endpoint.ends_with("testcases") { "fetcher" } else { "reporter" }
}

/// Shows that no call was refused for who we are: the first one must be seen as a rise.
pub(crate) fn show_denials() {
    for endpoint in PATHS {
        table::CLIENT_REQUESTS.show([service(endpoint), PEER, METHOD, endpoint, DENIED]);
    }
}

/// Makes a call of one of Convex's paths and takes its measures; `word` says what was wrong with it.
pub(crate) async fn measured<T, E>(
    endpoint: &'static str,
    word: impl FnOnce(&E) -> &'static str,
    made: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let what = Call { service: service(endpoint), peer: PEER, method: METHOD, endpoint };
    call(what, made, |answer| answer.as_ref().err().map_or(OK, word)).await
}

/// A call's error as a word for figures.
pub(crate) fn word(error: &CallError) -> &'static str {
    match error {
        CallError::Unreachable(_) => "unreachable",
        CallError::NoAnswer(_) => "no_answer",
        CallError::Page { .. } => "page",
        CallError::Status { status, .. } => match status {
            401 | 403 => DENIED,
            404 => "not_found",
            408 | 425 | 429 => "busy",
            400..500 => "refused",
            500.. => "failed",
            _ => "other",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_convex_itself_knows_that_a_call_is_over() {
        let answered = |status| CallError::Status { status, retry_after: None, body: None };
        for status in [502, 504, 522, 524] {
            assert!(answered(status).is_open(), "{status}");
        }
        for status in [400, 404, 429, 500, 501, 503] {
            assert!(!answered(status).is_open(), "{status}");
        }
    }
}
