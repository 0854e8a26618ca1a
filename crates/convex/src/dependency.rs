//! The health of Convex as recent calls saw it. It is shown to operators; nothing is decided by it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use gavel_domain::heartbeat::DependencyStatus;

use crate::call::{CallError, FailureKind};

/// After how many failed calls in a row Convex is reported as unhealthy. A single one may concern one submission
/// only.
const FAILURE_THRESHOLD: u32 = 3;
/// From which length on a wait that Convex asks for is shown: a person may look for a submission meanwhile.
const LONG_WAIT: Duration = Duration::from_secs(10);

/// Tracks the results of the calls of a client. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct DependencyTracker(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Failed calls since the last healthy response.
    failures: u32,
    /// The problem of the last failed call.
    problem: String,
    /// When Convex became healthy or unhealthy: the time of the first healthy response or of the first failure.
    since: Option<SystemTime>,
    /// The last long wait that Convex asked for: when it ends, and the text that describes it.
    wait: Option<(SystemTime, String)>,
}

impl DependencyTracker {
    /// Records how a call ended; `None` if the app answered it.
    pub(crate) fn record(&self, error: Option<&CallError>) {
        let now = SystemTime::now();
        if let Some(wait) = error.and_then(|error| long_wait(error, now)) {
            self.lock().wait = Some(wait);
        }
        self.record_problem(error.and_then(problem), now);
    }

    fn record_problem(&self, problem: Option<String>, now: SystemTime) {
        let mut state = self.lock();
        let was_healthy = state.failures == 0;
        state.failures = if problem.is_some() { state.failures.saturating_add(1) } else { 0 };
        if state.since.is_none() || was_healthy != problem.is_none() {
            state.since = Some(now);
        }
        state.problem = problem.unwrap_or_default();
    }

    /// Returns the status for the heartbeat.
    pub(crate) fn status(&self) -> DependencyStatus {
        let state = self.lock();
        let failing = (state.failures >= FAILURE_THRESHOLD).then(|| state.problem.clone());
        let waiting = state.wait.as_ref().filter(|(until, _)| *until > SystemTime::now());
        DependencyStatus {
            name: "Convex".to_owned(),
            problem: waiting.map(|(_, text)| text.clone()).or(failing),
            since_ms: state.since.map(gavel_domain::time::epoch_ms),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns when a long wait that Convex asks for ends, and a clause about it; `None` if it asks for none.
fn long_wait(error: &CallError, now: SystemTime) -> Option<(SystemTime, String)> {
    let (requested, granted) = (error.requested_wait()?, error.retry_after()?);
    let until = now + granted;
    let problem = problem(error)?;
    let (requested, granted, at) = (requested.as_secs(), granted.as_secs(), httpdate::fmt_http_date(until));
    let limit =
        if requested > granted { format!(", of which {granted} s are granted") } else { String::new() };
    let text = format!("{problem} and asks to wait {requested} s{limit}: the next attempt is at {at}");
    (granted >= LONG_WAIT.as_secs()).then_some((until, text))
}

/// Returns what is wrong with Convex or the way to it. `None` if the app refused only this call.
fn problem(error: &CallError) -> Option<String> {
    if error.kind() == FailureKind::Refused && !matches!(error.status(), Some(401 | 403)) {
        return None;
    }
    Some(match error {
        CallError::Status { status, .. } => format!("Convex answers {status}"),
        CallError::Page { .. } => "an HTML page comes instead of Convex's responses".to_owned(),
        error => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::AnswerOrigin;

    #[test]
    fn convex_is_unhealthy_after_three_failures_in_a_row() {
        let tracker = DependencyTracker::default();
        assert_eq!(
            tracker.status(),
            DependencyStatus { name: "Convex".into(), problem: None, since_ms: None }
        );
        let at = |ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
        tracker.record_problem(None, at(1));
        tracker.record_problem(None, at(2));
        assert_eq!(tracker.status().since_ms, Some(1));
        for (ms, problem) in [(3, None), (4, None), (5, Some("Convex answers 503".to_owned()))] {
            tracker.record_problem(Some("Convex answers 503".to_owned()), at(ms));
            assert_eq!(tracker.status().problem, problem);
        }
        assert_eq!(tracker.status().since_ms, Some(3), "since the first failure");
        tracker.record_problem(None, at(6));
        assert_eq!(
            tracker.status(),
            DependencyStatus { name: "Convex".into(), problem: None, since_ms: Some(6) }
        );
    }

    #[test]
    fn refusal_of_one_call_is_no_sign_of_trouble() {
        let problem = |status| {
            let origin = AnswerOrigin::Unknown;
            problem(&CallError::Status { status, retry_after: None, body: None, origin })
        };
        assert!([400, 409, 422].iter().all(|&status| problem(status).is_none()));
        assert!([302, 401, 403, 404, 429, 500, 503].iter().all(|&status| problem(status).is_some()));
        assert_eq!(problem(503).unwrap(), "Convex answers 503");
    }

    #[test]
    fn long_wait_is_shown_until_it_ends() {
        let asking = |seconds| {
            let (retry_after, origin) = (Some(Duration::from_secs(seconds)), AnswerOrigin::Unknown);
            CallError::Status { status: 429, retry_after, body: None, origin }
        };
        let wait = |seconds| long_wait(&asking(seconds), SystemTime::UNIX_EPOCH);
        assert_eq!(wait(9), None);
        let (until, text) = wait(60).unwrap();
        assert_eq!(until, SystemTime::UNIX_EPOCH + Duration::from_mins(1));
        assert_eq!(
            text,
            "Convex answers 429 and asks to wait 60 s: the next attempt is at Thu, 01 Jan 1970 00:01:00 GMT"
        );
        let (_, text) = wait(9_999_999_999).unwrap();
        assert!(text.contains("wait 9999999999 s, of which 300 s are granted: the next attempt"), "{text}");
        let tracker = DependencyTracker::default();
        tracker.record(Some(&asking(u64::MAX)));
        tracker.record(None);
        assert!(tracker.status().problem.unwrap().contains("300 s are granted"), "other calls may succeed");
        tracker.lock().wait.as_mut().unwrap().0 = SystemTime::now();
        assert_eq!(tracker.status().problem, None);
    }
}
