//! The errors of a call, what each means, and the metrics of calls.

use std::time::Duration;

use gavel_telemetry::{CallLabels, OK, measure_call, table};

use crate::retry_after::MAX_RETRY_AFTER;

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
        /// The delay that `Retry-After` asks for, however long.
        retry_after: Option<Duration>,
        /// The beginning of the body. It may quote the request, so it is not part of the error's text.
        body: Option<String>,
        /// Who wrote the response.
        origin: AnswerOrigin,
    },
    /// The response is an HTML page, as a proxy or a sign-in page in front of Convex sends it.
    #[error("got an HTML page with status {status} instead of a response of Convex")]
    Page {
        /// The HTTP status code.
        status: u16,
    },
    /// The response has a status of success, but a body that the app does not send: of a proxy, or a part of one.
    #[error("got a response with status {status} that is not Convex's: {problem}")]
    Foreign {
        /// The HTTP status code.
        status: u16,
        /// What is wrong with the body.
        problem: &'static str,
    },
}

/// Who wrote an error response, as far as its body tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerOrigin {
    /// A function of the app.
    App,
    /// A proxy or a sign-in page: the response is an HTML page.
    Page,
    /// Not known: the platform, a proxy, or an app that answers with text.
    Unknown,
}

/// What a failed call means, which decides what to do next (ADR 0012).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Convex, or the way to it, does not work at the moment. It says nothing about this call.
    Unavailable,
    /// The call did not get to the app: a path is missing or leads elsewhere. An operator, or a deployment in progress,
    /// corrects it.
    Misrouted,
    /// The app refused this call, and would refuse it again.
    Refused,
}

impl CallError {
    /// Classifies an error of reqwest. The URL is removed: it is configuration, and would be repeated in every
    /// message.
    pub(crate) fn from_reqwest(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_connect() { Self::Unreachable(error) } else { Self::NoAnswer(error) }
    }

    /// Returns what the failure means. This is the one table of responses for all calls.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Unreachable(_) | Self::NoAnswer(_) | Self::Page { .. } | Self::Foreign { .. } => {
                FailureKind::Unavailable
            }
            Self::Status { status: 408 | 425 | 429 | 500.., .. } => FailureKind::Unavailable,
            Self::Status { status: ..400 | 404, .. } | Self::Status { origin: AnswerOrigin::Page, .. } => {
                FailureKind::Misrouted
            }
            Self::Status { .. } => FailureKind::Refused,
        }
    }

    /// Returns the delay before the next attempt that Convex asked for, at most 5 minutes.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.requested_wait().map(|wait| wait.min(MAX_RETRY_AFTER))
    }

    /// Returns the delay that Convex asked for, however long.
    pub(crate) fn requested_wait(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Returns the HTTP status code if Convex itself answered.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Returns the beginning of Convex's error response.
    #[must_use]
    pub fn quote(&self) -> Option<&str> {
        match self {
            Self::Status { body, .. } => body.as_deref(),
            _ => None,
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
            Self::Unreachable(_) | Self::Page { .. } | Self::Foreign { .. } => false,
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
pub(crate) fn service(endpoint: &str) -> &'static str {
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
        CallError::Foreign { .. } => "foreign",
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

    fn error(status: u16, origin: AnswerOrigin) -> CallError {
        CallError::Status { status, retry_after: None, body: None, origin }
    }

    #[test]
    fn only_an_answer_of_convex_itself_ends_a_call() {
        for status in [502, 504, 522, 524] {
            assert!(error(status, AnswerOrigin::Unknown).can_still_take_effect(), "{status}");
        }
        for status in [400, 404, 429, 500, 501, 503] {
            assert!(!error(status, AnswerOrigin::Unknown).can_still_take_effect(), "{status}");
        }
    }

    #[test]
    fn kind_of_each_response() {
        use AnswerOrigin::{App, Page, Unknown};
        use FailureKind::{Misrouted, Refused, Unavailable};
        for status in [408, 425, 429, 500, 501, 502, 503, 504, 520, 599] {
            for origin in [App, Page, Unknown] {
                assert_eq!(error(status, origin).kind(), Unavailable, "{status} {origin:?}");
            }
        }
        for status in [300, 301, 302, 303, 304, 307, 308, 404] {
            for origin in [App, Page, Unknown] {
                assert_eq!(error(status, origin).kind(), Misrouted, "{status} {origin:?}");
            }
        }
        for status in [400, 401, 403, 405, 409, 410, 413, 415, 422, 431, 451] {
            assert_eq!(error(status, App).kind(), Refused, "{status}");
            assert_eq!(error(status, Unknown).kind(), Refused, "{status}");
            assert_eq!(error(status, Page).kind(), Misrouted, "{status}");
        }
        assert_eq!(CallError::Page { status: 200 }.kind(), Unavailable);
        assert_eq!(CallError::Foreign { status: 200, problem: "it is empty" }.kind(), Unavailable);
    }

    #[test]
    fn granted_wait_is_limited() {
        let asking = |seconds| CallError::Status {
            status: 429,
            retry_after: Some(Duration::from_secs(seconds)),
            body: None,
            origin: AnswerOrigin::Unknown,
        };
        assert_eq!(asking(7).retry_after(), Some(Duration::from_secs(7)));
        for long in [301, 9_999_999_999, u64::MAX] {
            assert_eq!(asking(long).retry_after(), Some(Duration::from_mins(5)));
        }
        assert_eq!(error(429, AnswerOrigin::Unknown).retry_after(), None);
    }
}
