//! Runs: many submissions that are judged again for one reason. A run that left some of them out can be continued.
//!
//! The record of each new generation contains when its run began. So a later command can tell which submissions the run has
//! judged again, and needs no state.

use std::collections::BTreeMap;
use std::time::SystemTime;

use gavel_domain::event::Rejudged;
use gavel_domain::time::epoch_ms;
use gavel_domain::{Submission, SubmissionId};

use crate::rejudge::{RejudgeError, Rejudger};

/// The submissions that a run judges again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejudgeRun {
    /// When it began, in milliseconds since the Unix epoch by the clock of the machine that began it.
    pub began_at_ms: u64,
    /// How many of the submissions it has judged again already; 0 unless an earlier run is continued.
    pub done: usize,
    /// The submissions that are left.
    pub left: Vec<SubmissionId>,
}

/// What is known about a submission.
struct Candidate {
    id: SubmissionId,
    /// When its newest generation was accepted.
    accepted_at_ms: u64,
    /// The run that created its newest generation, if it had the same reason.
    run_at_ms: Option<u64>,
    /// Whether its newest generation has its first event.
    is_complete: bool,
}

impl Candidate {
    /// Whether a run has nothing to do for it: the run has judged it again, or it came or was judged again later.
    fn is_done(&self, run_at_ms: u64) -> bool {
        self.is_complete && (self.run_at_ms == Some(run_at_ms) || self.accepted_at_ms >= run_at_ms)
    }
}

impl Rejudger {
    /// Plans a run over the submissions with these queued events. It continues the last run with the same reason if that one
    /// has left out some of them.
    ///
    /// # Errors
    /// Returns an error if the history cannot be read or a record cannot be decoded.
    pub async fn plan_run(&self, queued: &[Submission], reason: &str) -> Result<RejudgeRun, RejudgeError> {
        // In the order of the first event; later generations are queued again.
        let mut newest = BTreeMap::<&SubmissionId, u64>::new();
        for submission in queued {
            let accepted_at_ms = newest.entry(&submission.id).or_default();
            *accepted_at_ms = submission.accepted_at_ms.max(*accepted_at_ms);
        }
        let mut candidates = Vec::new();
        for submission in queued {
            if let Some(accepted_at_ms) = newest.remove(&submission.id) {
                candidates.push(self.candidate(&submission.id, accepted_at_ms, reason).await?);
            }
        }
        Ok(plan(&candidates, epoch_ms(SystemTime::now())))
    }

    async fn candidate(
        &self,
        id: &SubmissionId,
        accepted_at_ms: u64,
        reason: &str,
    ) -> Result<Candidate, RejudgeError> {
        let id = id.clone();
        let record = match self.newest_record(&id).await {
            // It is refused when its turn comes.
            Err(RejudgeError::Decode(_)) => None,
            record => record?,
        };
        let Some(record) = record else {
            return Ok(Candidate { id, accepted_at_ms, run_at_ms: None, is_complete: true });
        };
        let is_complete = self.has_first_event(&record).await?;
        let Rejudged { submission, reason: recorded, run_at_ms, .. } = record;
        Ok(Candidate {
            id,
            accepted_at_ms: submission.accepted_at_ms.max(accepted_at_ms),
            run_at_ms: run_at_ms.filter(|_| recorded == reason),
            is_complete,
        })
    }
}

fn plan(candidates: &[Candidate], now_ms: u64) -> RejudgeRun {
    let count = candidates.len();
    let last = candidates.iter().filter_map(|candidate| candidate.run_at_ms).max();
    let ids = |is_left: &dyn Fn(&Candidate) -> bool| -> Vec<_> {
        candidates.iter().filter(|each| is_left(each)).map(|each| each.id.clone()).collect()
    };
    if let Some(began_at_ms) = last {
        let left = ids(&|each| !each.is_done(began_at_ms));
        if !left.is_empty() {
            return RejudgeRun { began_at_ms, done: count - left.len(), left };
        }
    }
    RejudgeRun { began_at_ms: now_ms, done: 0, left: ids(&|_| true) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(id: &str, accepted_at_ms: u64, run_at_ms: Option<u64>) -> Candidate {
        Candidate { id: SubmissionId::new(id).unwrap(), accepted_at_ms, run_at_ms, is_complete: true }
    }

    fn planned(candidates: &[Candidate]) -> (u64, Vec<String>) {
        let run = plan(candidates, 1_000);
        (run.began_at_ms, run.left.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn run_that_left_some_out_is_continued() {
        let first = || [candidate("a", 10, None), candidate("b", 20, None)];
        assert_eq!(planned(&first()), (1_000, vec!["a".to_owned(), "b".to_owned()]));
        // "b" was refused at 100.
        assert_eq!(
            planned(&[candidate("a", 101, Some(100)), candidate("b", 20, None)]),
            (100, vec!["b".to_owned()])
        );
        // "b" was judged again by a continued run, at another machine whose clock is behind.
        let all = [candidate("a", 101, Some(100)), candidate("b", 90, Some(100))];
        assert_eq!(planned(&all), (1_000, vec!["a".to_owned(), "b".to_owned()]), "it is complete");
        // The next run, at 500, was refused for "b".
        let second = [candidate("a", 501, Some(500)), candidate("b", 90, Some(100))];
        assert_eq!(planned(&second), (500, vec!["b".to_owned()]));
    }

    #[test]
    fn submissions_after_the_run_are_not_left_out_by_it() {
        // "c" was queued later, and "b" was retried by itself.
        let all = [candidate("a", 101, Some(100)), candidate("b", 150, None), candidate("c", 200, None)];
        assert_eq!(planned(&all), (1_000, vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
    }

    #[test]
    fn interrupted_generation_is_left() {
        let interrupted = Candidate { is_complete: false, ..candidate("b", 102, Some(100)) };
        assert_eq!(planned(&[candidate("a", 101, Some(100)), interrupted]), (100, vec!["b".to_owned()]));
    }
}
