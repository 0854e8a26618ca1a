//! When a callback that failed is retried, and when it is given up.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gavel_bus::{Cause, Failure};
use gavel_convex::CallError;
use gavel_domain::{Backoff, SubmissionKind};

const BACKOFF: Backoff = Backoff { base: Duration::from_millis(500), cap: Duration::from_mins(5) };
/// How long a path may answer 404 before results are given up: it may be missing only while Convex is being deployed.
const DEPLOYMENT_TIMEOUT: Duration = Duration::from_mins(5);

/// Whether a retry may succeed: timeouts, overload and server errors pass, a rejected request stays rejected.
pub(crate) fn is_transient(error: &CallError) -> bool {
    error.status().is_none_or(|status| matches!(status, 408 | 425 | 429) || status >= 500)
}

/// The result paths that Convex answers with 404, and since when. The age of a verdict would not tell: a missing path
/// concerns all results of a kind, and a verdict may be old because Convex was unreachable before.
#[derive(Default)]
pub(crate) struct MissingPaths(Mutex<HashMap<SubmissionKind, Instant>>);

impl MissingPaths {
    /// Records the outcome of a call of this kind, and returns for how long its path has been missing.
    pub(crate) fn record(&self, kind: SubmissionKind, error: Option<&CallError>) -> Duration {
        let mut missing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match error.map(CallError::status) {
            Some(Some(404)) => missing.entry(kind).or_insert_with(Instant::now).elapsed(),
            // Without an answer nothing is known about the path.
            Some(None) => Duration::ZERO,
            _ => {
                missing.remove(&kind);
                Duration::ZERO
            }
        }
    }
}

/// Returns the delay after attempt number `attempt`, counted from 1.
pub(crate) fn backoff(attempt: u64) -> Duration {
    BACKOFF.delay(attempt, rand::random())
}

/// Decides what to do with a result whose callback failed: `age` is the age of the verdict, `missing` how long the
/// path has been answering 404.
pub(crate) fn failure(
    error: CallError,
    attempt: u64,
    age: Duration,
    missing: Duration,
    give_up_after: Duration,
) -> Failure {
    let is_given_up = match error.status() {
        Some(404) => missing >= DEPLOYMENT_TIMEOUT || age >= give_up_after,
        _ if is_transient(&error) => age >= give_up_after,
        _ => true,
    };
    let retry_after = error.retry_after().unwrap_or_default();
    if is_given_up {
        let quote = error.quote().map(str::to_owned);
        return Failure::Reject(Cause::from(error).quoting(quote.as_deref()));
    }
    Failure::Retry { after: retry_after.max(backoff(attempt)).min(give_up_after), cause: Cause::from(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status_error(status: u16) -> CallError {
        CallError::Status { status, retry_after: Some(Duration::from_secs(7)), body: None }
    }

    fn is_retried(status: u16, age: Duration, missing: Duration) -> bool {
        match failure(status_error(status), 1, age, missing, Duration::from_hours(24)) {
            Failure::Retry { after, .. } => {
                assert!(after >= Duration::from_secs(7), "Retry-After is honoured");
                true
            }
            Failure::Reject(_) => false,
            Failure::Defer(_) => panic!("a failed call counts as a failure"),
        }
    }

    #[test]
    fn transient_errors_are_retried_for_hours_and_others_not_at_all() {
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert!(is_retried(status, Duration::from_hours(23), Duration::ZERO), "{status}");
            assert!(!is_retried(status, Duration::from_hours(24), Duration::ZERO), "{status}");
        }
        for status in [301, 400, 401, 403, 422] {
            assert!(!is_retried(status, Duration::ZERO, Duration::ZERO), "{status}");
        }
    }

    #[test]
    fn missing_path_is_retried_for_minutes() {
        let hours = Duration::from_hours(23);
        assert!(is_retried(404, hours, Duration::from_mins(4)), "whatever the age of the verdict");
        assert!(!is_retried(404, Duration::ZERO, Duration::from_mins(5)));
        assert!(!is_retried(404, Duration::from_hours(24), Duration::ZERO));
    }

    #[test]
    fn path_is_missing_from_its_first_404_to_any_other_answer() {
        let (paths, missing) = (MissingPaths::default(), status_error(404));
        let first = paths.record(SubmissionKind::Standard, Some(&missing));
        let since = paths.0.lock().unwrap()[&SubmissionKind::Standard];
        let page = CallError::Page { status: 502 };
        paths.record(SubmissionKind::Standard, Some(&page));
        assert!(paths.record(SubmissionKind::Standard, Some(&missing)) >= first);
        assert_eq!(paths.0.lock().unwrap()[&SubmissionKind::Standard], since);
        paths.record(SubmissionKind::Personalized, None);
        assert!(paths.0.lock().unwrap().contains_key(&SubmissionKind::Standard));
        paths.record(SubmissionKind::Standard, Some(&status_error(503)));
        assert!(paths.0.lock().unwrap().is_empty());
    }
}
