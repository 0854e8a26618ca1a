//! What to do after a callback that Convex did not take.

use std::time::Duration;

use gavel_bus::{Cause, Failure};
use gavel_convex::CallError;
use gavel_domain::Backoff;

const BACKOFF: Backoff = Backoff { base: Duration::from_millis(500), cap: Duration::from_mins(5) };
/// How long a wrong path may be a deployment in progress.
const DEPLOYMENT: Duration = Duration::from_mins(5);

/// Whether another try can end differently, as far as the answer tells: timeouts, overload and faults of the
/// other side pass; a refusal of what we say stays.
pub(crate) fn is_passing(error: &CallError) -> bool {
    error.status().is_none_or(|status| matches!(status, 408 | 425 | 429) || status >= 500)
}

/// What becomes of a result that Convex did not take, `age` after its verdict.
pub(crate) fn after(error: CallError, attempt: u64, age: Duration, give_up_after: Duration) -> Failure {
    let patience = match error.status() {
        Some(404) => DEPLOYMENT.min(give_up_after),
        _ if is_passing(&error) => give_up_after,
        _ => Duration::ZERO,
    };
    let asked = error.retry_after().unwrap_or_default();
    if age >= patience {
        let quote = error.quote().map(str::to_owned);
        return Failure::Reject(Cause::from(error).quoting(quote.as_deref()));
    }
    let backoff = BACKOFF.delay(attempt, rand::random());
    Failure::Retry { after: asked.max(backoff).min(give_up_after), cause: Cause::from(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> CallError {
        CallError::Status { status, retry_after: Some(Duration::from_secs(7)), body: None }
    }

    fn retries(status: u16, age: Duration) -> bool {
        match after(answered(status), 1, age, Duration::from_hours(24)) {
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
            assert!(retries(status, Duration::from_hours(23)), "{status}");
            assert!(!retries(status, Duration::from_hours(24)), "{status}");
        }
        for status in [301, 400, 401, 403, 422] {
            assert!(!retries(status, Duration::ZERO), "{status}");
        }
    }

    #[test]
    fn a_wrong_path_is_tried_for_minutes() {
        assert!(retries(404, Duration::from_mins(4)));
        assert!(!retries(404, Duration::from_mins(5)));
    }
}
