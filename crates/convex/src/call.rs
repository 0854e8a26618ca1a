//! The errors of a call, and its metrics.

use std::time::Duration;

use gavel_telemetry::{CallLabels, OK, measure_call, table};

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No connection was made, so Convex has not seen the call.
    #[error("cannot connect to Convex")]
    Unreachable(#[source] reqwest::Error),
    /// The call was sent and no complete response came. Convex may have applied the call, or may still apply it.
    #[error("Convex did not answer")]
    NoAnswer(#[source] reqwest::Error),
    /// Convex answered with a status other than 2xx.
    #[error("Convex answered {status}")]
    Status {
        /// The HTTP status code.
        status: u16,
        /// The delay that Convex asks for in `Retry-After`.
        retry_after: Option<Duration>,
        /// The beginning of the body. It may quote the request, so it is not part of the error's text.
        body: Option<String>,
    },
    /// The response is an HTML page, as a proxy or a sign-in page in front of Convex sends it.
    #[error("got an HTML page with status {status} instead of a response of Convex")]
    Page {
        /// The HTTP status code.
        status: u16,
    },
}

impl CallError {
    /// Classifies an error of reqwest. The URL is removed: it is configuration, and would be repeated in every
    /// message.
    pub(crate) fn from_reqwest(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_connect() { Self::Unreachable(error) } else { Self::NoAnswer(error) }
    }

    /// Returns the delay that Convex asked for before the next attempt.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Unreachable(_) | Self::NoAnswer(_) | Self::Page { .. } => None,
        }
    }

    /// Returns the HTTP status code if Convex itself answered.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::Unreachable(_) | Self::NoAnswer(_) | Self::Page { .. } => None,
        }
    }

    /// Returns the beginning of Convex's error response.
    #[must_use]
    pub fn quote(&self) -> Option<&str> {
        match self {
            Self::Status { body, .. } => body.as_deref(),
            Self::Unreachable(_) | Self::NoAnswer(_) | Self::Page { .. } => None,
        }
    }

    /// Whether Convex may still apply the call although it has ended on this side. That is so if there was no
    /// response, or only one of a gateway (RFC 9110: 502 and 504; Cloudflare: 520 and up), which does not know the
    /// outcome either.
    #[must_use]
    pub fn can_still_take_effect(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Status { status, .. } => matches!(status, 502 | 504 | 520..),
            Self::Unreachable(_) | Self::Page { .. } => false,
        }
    }
}

/// The metric label for refused credentials, which only an operator can fix.
const DENIED: &str = "denied";
const PEER: &str = "convex";
const METHOD: &str = "POST";
/// The paths of Convex that Gavel calls.
pub const PATHS: [&str; 6] = [
    "/coding/testcases",
    "/coding/personalized-testcases",
    "/coding/submission-running",
    "/coding/personalized-submission-running",
    "/coding/submission-result",
    "/coding/personalized-submission-result",
];

/// Returns the name of the service that calls a path. No path has two callers.
fn service(endpoint: &str) -> &'static str {
    if endpoint.ends_with("testcases") { "fetcher" } else { "reporter" }
}

/// Exports the series for refused credentials at zero, so that the first refusal shows as an increase.
pub(crate) fn register_denied_series() {
    for endpoint in PATHS {
        table::CLIENT_REQUESTS.init([service(endpoint), PEER, METHOD, endpoint, DENIED]);
    }
}

/// Runs a call to one of Convex's paths and records its metrics; `label` names the error.
pub(crate) async fn measured<T, E>(
    endpoint: &'static str,
    label: impl FnOnce(&E) -> &'static str,
    made: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let labels = CallLabels { service: service(endpoint), peer: PEER, method: METHOD, endpoint };
    measure_call(labels, made, |answer| answer.as_ref().err().map_or(OK, label)).await
}

/// Returns the metric label of an error.
pub(crate) fn error_label(error: &CallError) -> &'static str {
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
    fn only_an_answer_of_convex_itself_ends_a_call() {
        let error = |status| CallError::Status { status, retry_after: None, body: None };
        for status in [502, 504, 522, 524] {
            assert!(error(status).can_still_take_effect(), "{status}");
        }
        for status in [400, 404, 429, 500, 501, 503] {
            assert!(!error(status).can_still_take_effect(), "{status}");
        }
    }
}
