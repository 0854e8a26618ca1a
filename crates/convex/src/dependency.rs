//! The health of Convex as recent calls saw it. It is shown to operators; nothing is decided by it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use gavel_domain::heartbeat::DependencyStatus;
use reqwest::Response;

use crate::call::CallError;
use crate::response::is_page;

/// After how many failed calls in a row Convex is reported as unhealthy. A single one may concern one submission
/// only.
const FAILURE_THRESHOLD: u32 = 3;

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
}

impl DependencyTracker {
    /// Records the response to a call, or that there was none.
    pub(crate) fn record(&self, path: &str, response: &Result<Response, CallError>) {
        let problem = match response {
            Err(error) => Some(error.to_string()),
            Ok(response) if is_page(response) => {
                Some("an HTML page comes instead of Convex's responses".to_owned())
            }
            Ok(response) => {
                let status = response.status().as_u16();
                is_unhealthy(path, status).then(|| format!("Convex answers {status}"))
            }
        };
        self.record_problem(problem, SystemTime::now());
    }

    fn record_problem(&self, problem: Option<String>, now: SystemTime) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let was_healthy = state.failures == 0;
        state.failures = if problem.is_some() { state.failures.saturating_add(1) } else { 0 };
        if state.since.is_none() || was_healthy != problem.is_none() {
            state.since = Some(now);
        }
        state.problem = problem.unwrap_or_default();
    }

    /// Returns the status for the heartbeat.
    pub(crate) fn status(&self) -> DependencyStatus {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        DependencyStatus {
            name: "Convex".to_owned(),
            problem: (state.failures >= FAILURE_THRESHOLD).then(|| state.problem.clone()),
            since_ms: state.since.map(gavel_domain::time::epoch_ms),
        }
    }
}

/// Whether a status is a sign of trouble with Convex or the way to it, and not only an answer to this request.
fn is_unhealthy(path: &str, status: u16) -> bool {
    // 404 for test cases means that the question does not exist (contract §2).
    let is_unknown_question = status == 404 && path.ends_with("testcases");
    !is_unknown_question && matches!(status, 300..=399 | 401 | 403 | 404 | 408 | 425 | 429 | 500..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
    fn an_unknown_question_is_no_sign_of_trouble() {
        let path = "/coding/submission-result";
        assert!(!is_unhealthy("/coding/testcases", 404));
        assert!([200, 400, 422].iter().all(|&status| !is_unhealthy(path, status)));
        assert!([302, 401, 404, 429, 500, 503].iter().all(|&status| is_unhealthy(path, status)));
    }
}
