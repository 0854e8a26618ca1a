//! How Convex is, as the last calls saw it, for people who look at the line. Nothing is decided by it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use gavel_domain::heartbeat::DependencyStatus;
use reqwest::Response;

use crate::call::CallError;
use crate::client::is_page;

/// After how many failed calls in a row Convex is said to be unwell: one may be about one submission alone.
const THRESHOLD: u32 = 3;

/// What the clones of a client have seen together.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Failed calls since the last one that was answered as it should be.
    failures: u32,
    /// What was wrong with the last of them.
    problem: String,
    /// When the first of these failures was, or the first good answer since the last failure.
    since: Option<SystemTime>,
}

impl Seen {
    /// Takes note of an answer, or of none.
    pub(crate) fn note(&self, path: &str, answered: &Result<Response, CallError>) {
        let problem = match answered {
            Err(error) => Some(error.to_string()),
            Ok(answer) if is_page(answer) => Some("a page answers in Convex's place".to_owned()),
            Ok(answer) => {
                let trouble = trouble(path, answer.status().as_u16());
                trouble.map(|status| format!("Convex answers {status}"))
            }
        };
        self.record(problem, SystemTime::now());
    }

    fn record(&self, problem: Option<String>, now: SystemTime) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let was_well = state.failures == 0;
        state.failures = if problem.is_some() { state.failures.saturating_add(1) } else { 0 };
        if state.since.is_none() || was_well != problem.is_none() {
            state.since = Some(now);
        }
        state.problem = problem.unwrap_or_default();
    }

    /// The same, to be told to others.
    pub(crate) fn peer(&self) -> DependencyStatus {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = state.since.map(|since| since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        DependencyStatus {
            name: "Convex".to_owned(),
            problem: (state.failures >= THRESHOLD).then(|| state.problem.clone()),
            since_ms: since.map(|since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// A status that says something of Convex itself, or of the way there, and not only of what was asked.
fn trouble(path: &str, status: u16) -> Option<u16> {
    // There is no such question (contract §2).
    let is_an_answer = status == 404 && path.ends_with("testcases");
    Some(status).filter(|status| {
        !is_an_answer && matches!(status, 300..=399 | 401 | 403 | 404 | 408 | 425 | 429 | 500..)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_is_unwell_after_three_failures_since_the_first_of_them() {
        let seen = Seen::default();
        assert_eq!(seen.peer(), DependencyStatus { name: "Convex".into(), problem: None, since_ms: None });
        let at = |ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
        seen.record(None, at(1));
        seen.record(None, at(2));
        assert_eq!(seen.peer().since_ms, Some(1));
        for (ms, problem) in [(3, None), (4, None), (5, Some("Convex answers 503".to_owned()))] {
            seen.record(Some("Convex answers 503".to_owned()), at(ms));
            assert_eq!(seen.peer().problem, problem);
        }
        assert_eq!(seen.peer().since_ms, Some(3));
        seen.record(None, at(6));
        assert_eq!(seen.peer(), DependencyStatus { name: "Convex".into(), problem: None, since_ms: Some(6) });
    }

    #[test]
    fn a_refusal_of_one_question_is_a_sign_of_life() {
        let path = "/coding/submission-result";
        assert!(trouble("/coding/testcases", 404).is_none());
        assert!([200, 400, 422].iter().all(|&status| trouble(path, status).is_none()));
        assert!([302, 401, 404, 429, 500, 503].iter().all(|&status| trouble(path, status).is_some()));
    }
}
