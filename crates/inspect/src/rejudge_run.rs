//! Runs: many submissions that are judged again for one reason. A run that left some of them out can be continued.
//!
//! The record of each new generation contains when its run began and which queued events the run covers. So a later command
//! can tell which submissions the run has judged again, and needs no state.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use gavel_domain::event::RejudgeRun;
use gavel_domain::time::{epoch_ms, from_epoch_ms};
use gavel_domain::{QuestionId, Submission, SubmissionId};

use crate::rejudge::{RejudgeError, Rejudger};

/// The start of a range of time that ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// This time.
    Time(SystemTime),
    /// This long ago.
    Age(Duration),
}

impl Since {
    /// The time; that of the Unix epoch if it is earlier.
    #[must_use]
    pub fn time(self, now: SystemTime) -> SystemTime {
        match self {
            Self::Time(time) => time,
            Self::Age(age) => now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }

    /// A run over this range that begins now and covers these submissions.
    fn begin(self, now: SystemTime, candidates: &[Candidate]) -> RejudgeRun {
        let last_queued = candidates.iter().map(|candidate| candidate.queued).max().unwrap_or_default();
        RejudgeRun { began_at_ms: epoch_ms(now), since_ms: epoch_ms(self.time(now)), last_queued }
    }

    /// Whether a command with this range continues `run`, if it would begin `new` otherwise. An age reaches less far back with
    /// every command; the range of the run stays.
    fn continues(self, run: &RejudgeRun, new: &RejudgeRun) -> bool {
        match self {
            Self::Time(_) => run.since_ms == new.since_ms,
            Self::Age(_) => run.age_ms() == new.age_ms(),
        }
    }
}

/// What a run has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejudgePlan {
    /// The run.
    pub run: RejudgeRun,
    /// How many of its submissions it has judged again already; 0 unless an earlier run is continued.
    pub done: usize,
    /// The submissions that are left.
    pub left: Vec<SubmissionId>,
}

impl RejudgePlan {
    fn of(run: RejudgeRun, candidates: &[Candidate], is_left: impl Fn(&Candidate) -> bool) -> Self {
        let left: Vec<_> =
            candidates.iter().filter(|each| is_left(each)).map(|each| each.id.clone()).collect();
        Self { run, done: candidates.len() - left.len(), left }
    }
}

/// What is known about a submission.
struct Candidate {
    id: SubmissionId,
    /// The sequence number of its newest queued event. Clocks would not tell what came first: each machine has its own.
    queued: u64,
    /// The run that created its newest generation, if it had the same reason.
    run: Option<RejudgeRun>,
    /// Whether its newest generation has its first event.
    is_complete: bool,
}

impl Candidate {
    /// Whether a run has nothing to do for it: the run has judged it again, or it came or was judged again later. A retry that
    /// starts at the judge or the reporter uses the old test cases, so that it does not count.
    fn is_done(&self, run: &RejudgeRun) -> bool {
        self.is_complete && (self.run.as_ref() == Some(run) || self.queued > run.last_queued)
    }
}

impl Rejudger {
    /// Plans a run over the submissions to a question that were queued since a time. It continues the last run with the same
    /// reason and the same range if that one has left out some of its submissions.
    ///
    /// # Errors
    /// Returns an error if the history cannot be read or a record cannot be decoded.
    pub async fn plan_run(
        &self,
        question: &QuestionId,
        since: Since,
        reason: &str,
        now: SystemTime,
    ) -> Result<RejudgePlan, RejudgeError> {
        let candidates = self.candidates(question, epoch_ms(since.time(now)), reason).await?;
        let new = since.begin(now, &candidates);
        if let Some(last) = last_run(&candidates, since, &new) {
            let of_run = self.candidates(question, last.since_ms, reason).await?;
            let plan = RejudgePlan::of(last, &of_run, |each| !each.is_done(&last));
            if !plan.left.is_empty() {
                return Ok(plan);
            }
        }
        Ok(RejudgePlan::of(new, &candidates, |_| true))
    }

    /// The submissions to a question that were queued since a time, in the order of their first event. All are read before
    /// the first is judged again, because that queues it again.
    async fn candidates(
        &self,
        question: &QuestionId,
        since_ms: u64,
        reason: &str,
    ) -> Result<Vec<Candidate>, RejudgeError> {
        let since = from_epoch_ms(since_ms).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut queued = self.inspector.submissions_to(question, since);
        let (mut ids, mut newest) = (Vec::new(), BTreeMap::<SubmissionId, u64>::new());
        while let Some((Submission { id, .. }, sequence)) = queued.next().await? {
            if newest.insert(id.clone(), sequence).is_none() {
                ids.push(id);
            }
        }
        let mut candidates = Vec::new();
        for id in ids {
            candidates.push(self.candidate(&id, newest[&id], reason).await?);
        }
        Ok(candidates)
    }

    async fn candidate(
        &self,
        id: &SubmissionId,
        queued: u64,
        reason: &str,
    ) -> Result<Candidate, RejudgeError> {
        let id = id.clone();
        let record = match self.newest_record(&id).await {
            // It is refused when its turn comes.
            Err(RejudgeError::Decode(_)) => None,
            record => record?,
        };
        let Some(record) = record else {
            return Ok(Candidate { id, queued, run: None, is_complete: true });
        };
        let is_complete = self.has_first_event(&record).await?;
        let run = record.run.filter(|_| record.reason == reason);
        Ok(Candidate { id, queued, run, is_complete })
    }
}

/// The last run that a command continues if it would begin `new` otherwise.
fn last_run(candidates: &[Candidate], since: Since, new: &RejudgeRun) -> Option<RejudgeRun> {
    let runs = candidates.iter().filter_map(|candidate| candidate.run);
    runs.filter(|run| since.continues(run, new)).max_by_key(|run| (run.last_queued, run.began_at_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> SystemTime {
        from_epoch_ms(ms).unwrap()
    }

    /// The run that covers the first `last_queued` events.
    fn run(last_queued: u64) -> RejudgeRun {
        RejudgeRun { began_at_ms: 1_000, since_ms: 5, last_queued }
    }

    fn candidate(id: &str, queued: u64, last_queued: Option<u64>) -> Candidate {
        let id = SubmissionId::new(id).unwrap();
        Candidate { id, queued, run: last_queued.map(run), is_complete: true }
    }

    /// The run that is continued, and its submissions that are left.
    fn left(candidates: &[Candidate]) -> Option<(u64, Vec<String>)> {
        let since = Since::Time(at(5));
        let last = last_run(candidates, since, &since.begin(at(2_000), candidates))?;
        let plan = RejudgePlan::of(last, candidates, |each| !each.is_done(&last));
        Some((last.last_queued, plan.left.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn submissions_that_a_run_left_out_are_left() {
        let none = [candidate("a", 1, None), candidate("b", 2, None)];
        assert_eq!(left(&none), None);
        assert_eq!(Since::Time(at(5)).begin(at(1_000), &none), run(2));
        // "b" was refused.
        let first = [candidate("a", 3, Some(2)), candidate("b", 2, None)];
        assert_eq!(left(&first), Some((2, vec!["b".to_owned()])));
        // A continued run has judged it again.
        let all = [candidate("a", 3, Some(2)), candidate("b", 4, Some(2))];
        assert_eq!(left(&all), Some((2, Vec::new())));
        // The next run was refused for "b".
        let second = [candidate("a", 5, Some(4)), candidate("b", 4, Some(2))];
        assert_eq!(left(&second), Some((4, vec!["b".to_owned()])));
    }

    /// The clock of the second operator's machine is behind.
    #[test]
    fn last_run_is_the_one_that_covers_most() {
        let second = RejudgeRun { began_at_ms: 10, ..run(4) };
        let judged = Candidate { run: Some(second), ..candidate("a", 5, None) };
        assert_eq!(left(&[judged, candidate("b", 4, Some(2))]), Some((4, vec!["b".to_owned()])));
    }

    #[test]
    fn submissions_after_the_run_are_not_left_out_by_it() {
        // "c" was queued later, and "b" was judged again by itself.
        let all = [candidate("a", 3, Some(2)), candidate("b", 5, None), candidate("c", 4, None)];
        assert_eq!(left(&all), Some((2, Vec::new())));
    }

    #[test]
    fn interrupted_generation_is_left() {
        let interrupted = Candidate { is_complete: false, ..candidate("b", 2, Some(2)) };
        assert_eq!(left(&[candidate("a", 3, Some(2)), interrupted]), Some((2, vec!["b".to_owned()])));
    }

    #[test]
    fn run_of_another_range_is_not_continued() {
        let continues = |since: Since, began_at_ms, since_ms| {
            since.continues(
                &RejudgeRun { began_at_ms, since_ms, last_queued: 0 },
                &since.begin(at(10_000), &[]),
            )
        };
        let (time, age) = (Since::Time(at(5_000)), Since::Age(Duration::from_secs(2)));
        assert!(continues(time, 7_000, 5_000) && !continues(time, 7_000, 4_999));
        assert!(
            continues(age, 7_000, 5_000) && !continues(age, 7_000, 4_999) && !continues(age, 10_001, 8_000)
        );
    }
}
