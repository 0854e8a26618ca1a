//! When a callback that failed is retried, and when it is given up.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gavel_bus::{Cause, Failure};
use gavel_convex::{BreakerOpen, CallError, FailureKind};
use gavel_domain::{Backoff, SubmissionKind};

const BACKOFF: Backoff = Backoff { base: Duration::from_millis(500), cap: Duration::from_mins(5) };
/// How long a path may be missing, or lead elsewhere, before results are given up: it may do so only while Convex is
/// being deployed.
const DEPLOYMENT_TIMEOUT: Duration = Duration::from_mins(5);

/// The result paths that do not lead to the app, and since when. The age of a verdict would not tell: a missing path
/// concerns all results of a kind, and a verdict may be old because Convex was unreachable before.
#[derive(Default)]
pub(crate) struct MissingPaths(Mutex<HashMap<SubmissionKind, Instant>>);

impl MissingPaths {
    /// Records the outcome of a call of this kind, and returns for how long its path has been missing.
    pub(crate) fn record(&self, kind: SubmissionKind, error: Option<&CallError>) -> Duration {
        let mut missing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some(error) if error.kind() == FailureKind::Misrouted => {
                missing.entry(kind).or_insert_with(Instant::now).elapsed()
            }
            // Without an answer nothing is known about the path.
            Some(error) if error.status().is_none() => Duration::ZERO,
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

/// Decides what to do with a result whose callback failed: `is_first` says whether that was its first call, `tried_for` is
/// for how long it may have been tried, `missing` how long the path has not led to the app.
pub(crate) fn failure(
    error: CallError,
    attempt: u64,
    is_first: bool,
    tried_for: Duration,
    missing: Duration,
    give_up_after: Duration,
) -> Failure {
    let is_used_up = !is_first && tried_for >= give_up_after;
    let is_given_up = match error.kind() {
        FailureKind::Unavailable => is_used_up,
        FailureKind::Misrouted => missing >= DEPLOYMENT_TIMEOUT || is_used_up,
        FailureKind::Refused => true,
    };
    let retry_after = error.retry_after().unwrap_or_default();
    if is_given_up {
        let quote = error.quote().map(str::to_owned);
        return Failure::Reject(Cause::from(error).quoting(quote.as_deref()));
    }
    Failure::Retry { after: retry_after.max(backoff(attempt)).min(give_up_after), cause: Cause::from(error) }
}

/// Hands a message back whose callback is not made because the breaker is open. It was taken before that.
pub(crate) fn held(open: &BreakerOpen) -> Failure {
    Failure::Defer(open.redelivery_delay())
}

#[cfg(test)]
mod tests {
    use gavel_convex::AnswerOrigin;

    use super::*;

    fn status_error(status: u16) -> CallError {
        let retry_after = Some(Duration::from_secs(7));
        CallError::Status { status, retry_after, body: None, origin: AnswerOrigin::Unknown }
    }

    fn is_retried(error: CallError, tried_for: Duration, missing: Duration) -> bool {
        is_retried_after(error, false, tried_for, missing)
    }

    fn is_retried_after(error: CallError, is_first: bool, tried_for: Duration, missing: Duration) -> bool {
        let asked = error.retry_after().unwrap_or_default();
        match failure(error, 9, is_first, tried_for, missing, Duration::from_hours(24)) {
            Failure::Retry { after, .. } => {
                assert!(after >= asked, "Retry-After is honoured");
                true
            }
            Failure::Reject(_) => false,
            Failure::Defer(_) => panic!("a failed call counts as a failure"),
        }
    }

    #[test]
    fn unavailable_convex_is_retried_for_hours_and_a_refusal_not_at_all() {
        for status in [408, 425, 429, 500, 502, 503, 504] {
            let error = || status_error(status);
            assert!(is_retried(error(), Duration::from_hours(23), Duration::ZERO), "{status}");
            assert!(!is_retried(error(), Duration::from_hours(24), Duration::ZERO), "{status}");
            let is_retried = is_retried_after(error(), true, Duration::from_hours(25), Duration::ZERO);
            assert!(is_retried, "{status}: never given up after one call, however often it was delivered");
        }
        assert!(is_retried(CallError::Page { status: 200 }, Duration::from_hours(23), Duration::ZERO));
        for status in [400, 401, 403, 409, 413, 422] {
            assert!(!is_retried(status_error(status), Duration::ZERO, Duration::ZERO), "{status}");
        }
    }

    #[test]
    fn path_that_does_not_lead_to_the_app_is_retried_for_minutes() {
        let hours = Duration::from_hours(23);
        for status in [301, 302, 303, 307, 308, 404] {
            let error = || status_error(status);
            assert!(is_retried(error(), hours, Duration::from_mins(4)), "however long it was tried");
            assert!(!is_retried(error(), Duration::ZERO, Duration::from_mins(5)));
            assert!(!is_retried(error(), Duration::from_hours(24), Duration::ZERO));
        }
    }

    #[test]
    fn path_is_missing_from_its_first_404_or_redirect_to_any_other_answer() {
        let (paths, missing) = (MissingPaths::default(), status_error(404));
        let first = paths.record(SubmissionKind::Standard, Some(&missing));
        let since = paths.0.lock().unwrap()[&SubmissionKind::Standard];
        let page = CallError::Page { status: 502 };
        paths.record(SubmissionKind::Standard, Some(&page));
        assert!(paths.record(SubmissionKind::Standard, Some(&status_error(302))) >= first);
        assert_eq!(paths.0.lock().unwrap()[&SubmissionKind::Standard], since);
        paths.record(SubmissionKind::Personalized, None);
        assert!(paths.0.lock().unwrap().contains_key(&SubmissionKind::Standard));
        paths.record(SubmissionKind::Standard, Some(&status_error(503)));
        assert!(paths.0.lock().unwrap().is_empty());
    }
}
