//! What to do after a callback that Convex did not take.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gavel_bus::{Cause, Failure};
use gavel_convex::CallError;
use gavel_domain::{Backoff, SubmissionKind};

const BACKOFF: Backoff = Backoff { base: Duration::from_millis(500), cap: Duration::from_mins(5) };
/// How long a wrong path may be a deployment in progress.
const DEPLOYMENT: Duration = Duration::from_mins(5);

/// Whether another try can end differently, as far as the answer tells: timeouts, overload and faults of the
/// other side pass; a refusal of what we say stays.
pub(crate) fn is_passing(error: &CallError) -> bool {
    error.status().is_none_or(|status| matches!(status, 408 | 425 | 429) || status >= 500)
}

/// Since when Convex has no such path. A wrong path concerns all results of a kind, so a verdict's own age would not
/// tell: it may be old because Convex was away before.
#[derive(Default)]
pub(crate) struct MissingPaths(Mutex<HashMap<SubmissionKind, Instant>>);

impl MissingPaths {
    /// Takes note of how a call of this kind ended, and says how long its path has been missing.
    pub(crate) fn look(&self, kind: SubmissionKind, error: Option<&CallError>) -> Duration {
        let mut missing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match error.map(CallError::status) {
            Some(Some(404)) => missing.entry(kind).or_insert_with(Instant::now).elapsed(),
            // No answer says nothing of the path.
            Some(None) => Duration::ZERO,
            _ => {
                missing.remove(&kind);
                Duration::ZERO
            }
        }
    }
}

/// The pause after the `attempt`th try.
pub(crate) fn pause(attempt: u64) -> Duration {
    BACKOFF.delay(attempt, rand::random())
}

/// What becomes of a result that Convex did not take, `age` after its verdict, on a path that has been `missing` for
/// this long.
pub(crate) fn after(
    error: CallError,
    attempt: u64,
    age: Duration,
    missing: Duration,
    give_up_after: Duration,
) -> Failure {
    let is_given_up = match error.status() {
        Some(404) => missing >= DEPLOYMENT || age >= give_up_after,
        _ if is_passing(&error) => age >= give_up_after,
        _ => true,
    };
    let asked = error.retry_after().unwrap_or_default();
    if is_given_up {
        let quote = error.quote().map(str::to_owned);
        return Failure::Reject(Cause::from(error).quoting(quote.as_deref()));
    }
    Failure::Retry { after: asked.max(pause(attempt)).min(give_up_after), cause: Cause::from(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> CallError {
        CallError::Status { status, retry_after: Some(Duration::from_secs(7)), body: None }
    }

    fn retries(status: u16, age: Duration, missing: Duration) -> bool {
        match after(answered(status), 1, age, missing, Duration::from_hours(24)) {
            Failure::Retry { after, .. } => {
                assert!(after >= Duration::from_secs(7), "what Convex asked for is honoured");
                true
            }
            Failure::Reject(_) => false,
            Failure::Later(_) => panic!("something did go wrong"),
        }
    }

    #[test]
    fn what_passes_is_tried_for_hours_and_what_stays_not_at_all() {
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert!(retries(status, Duration::from_hours(23), Duration::ZERO), "{status}");
            assert!(!retries(status, Duration::from_hours(24), Duration::ZERO), "{status}");
        }
        for status in [301, 400, 401, 403, 422] {
            assert!(!retries(status, Duration::ZERO, Duration::ZERO), "{status}");
        }
    }

    #[test]
    fn a_wrong_path_is_tried_for_minutes() {
        let hours = Duration::from_hours(23);
        assert!(retries(404, hours, Duration::from_mins(4)), "however old the verdict is");
        assert!(!retries(404, Duration::ZERO, Duration::from_mins(5)));
        assert!(!retries(404, Duration::from_hours(24), Duration::ZERO));
    }

    #[test]
    fn a_path_is_missing_from_its_first_404_to_any_other_answer() {
        let (paths, missing) = (MissingPaths::default(), answered(404));
        let first = paths.look(SubmissionKind::Standard, Some(&missing));
        let since = paths.0.lock().unwrap()[&SubmissionKind::Standard];
        let page = CallError::Page { status: 502 };
        paths.look(SubmissionKind::Standard, Some(&page));
        assert!(paths.look(SubmissionKind::Standard, Some(&missing)) >= first);
        assert_eq!(paths.0.lock().unwrap()[&SubmissionKind::Standard], since);
        paths.look(SubmissionKind::Personalized, None);
        assert!(paths.0.lock().unwrap().contains_key(&SubmissionKind::Standard));
        paths.look(SubmissionKind::Standard, Some(&answered(503)));
        assert!(paths.0.lock().unwrap().is_empty());
    }
}
