//! Notices that Judge0 takes submissions and does not run them: its workers are gone, or its queue was lost. Its API knows
//! nothing of that; the submissions stay "In Queue" for ever.

use std::time::Duration;

use tokio::time::Instant;

use crate::workers::Workers;

/// How many times in a row `/workers` must report that nothing is taken from the queue: a worker may be between two
/// submissions.
const CONFIRMATIONS: u32 = 2;

/// What the polls of the tests in flight say about the progress of Judge0.
#[derive(Debug)]
pub(crate) struct StallDetector {
    /// How long tests may wait in the queue without any progress before Judge0 is asked about its workers.
    stall_after: Duration,
    /// When a test was last seen to start or finish.
    progress_at: Option<Instant>,
    /// Whether a test that had started was lost since then.
    lost_started_test: bool,
    /// When Judge0 was last asked about its workers.
    asked_at: Option<Instant>,
    /// Reports in a row that nothing is taken from the queue.
    confirmations: u32,
    /// When the queue was seen empty although a test waits in it.
    empty_at: Option<Instant>,
}

impl StallDetector {
    pub(crate) fn new(stall_after: Duration) -> Self {
        Self {
            stall_after,
            progress_at: None,
            lost_started_test: false,
            asked_at: None,
            confirmations: 0,
            empty_at: None,
        }
    }

    /// Records that a test has started or finished.
    pub(crate) fn note_progress(&mut self, now: Instant) {
        *self = Self { progress_at: Some(now), ..Self::new(self.stall_after) };
    }

    /// Records that a test had started and did not finish: its worker may be dead.
    pub(crate) fn note_lost_test(&mut self) {
        self.lost_started_test = true;
    }

    /// Whether to ask Judge0 about its workers now: the oldest of the tests that wait in the queue was sent at `oldest`.
    pub(crate) fn must_ask(&self, oldest: Instant, now: Instant) -> bool {
        let since = self.progress_at.map_or(oldest, |progress_at| progress_at.max(oldest));
        let may_ask_again = |asked_at| now >= asked_at + self.stall_after / CONFIRMATIONS;
        now >= since + self.stall_after && self.asked_at.is_none_or(may_ask_again)
    }

    /// Records what Judge0 says about its workers, `None` if it does not say. Returns why it runs nothing, if that is
    /// certain.
    pub(crate) fn note_workers(&mut self, workers: Option<Workers>, now: Instant) -> Option<String> {
        self.asked_at = Some(now);
        let workers = workers?;
        self.empty_at = (workers.queued == 0).then_some(now);
        // Dead workers may say that they are working.
        let problem = if self.lost_started_test && workers.queued > 0 {
            Some("its workers started a test and did not finish it".to_owned())
        } else {
            workers.problem()
        };
        self.confirmations = if problem.is_some() { self.confirmations + 1 } else { 0 };
        let problem = problem.filter(|_| self.confirmations >= CONFIRMATIONS)?;
        // The next canary may wait in the queue for as long as any other test.
        (self.lost_started_test, self.confirmations) = (false, 0);
        Some(problem)
    }

    /// Whether a test sent at `sent_at`, which is "In Queue" according to a later poll, is in no queue.
    pub(crate) fn is_forgotten(&self, sent_at: Instant) -> bool {
        self.empty_at.is_some_and(|empty_at| empty_at >= sent_at + self.stall_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL_AFTER: Duration = Duration::from_secs(15);

    fn workers(queued: u64, working: u64) -> Workers {
        Workers { queued, registered: 2, working }
    }

    #[test]
    fn waiting_must_ask_only_without_progress() {
        let mut stall = StallDetector::new(STALL_AFTER);
        let start = Instant::now();
        let second = Duration::from_secs(1);
        assert!(!stall.must_ask(start, start + 14 * second));
        assert!(stall.must_ask(start, start + 15 * second));
        stall.note_progress(start + 10 * second);
        assert!(!stall.must_ask(start, start + 24 * second));
        assert!(stall.must_ask(start, start + 25 * second));
    }

    #[test]
    fn one_report_of_idle_workers_is_not_enough() {
        let mut stall = StallDetector::new(STALL_AFTER);
        let now = Instant::now();
        assert_eq!(stall.note_workers(Some(workers(3, 0)), now), None);
        assert_eq!(stall.note_workers(Some(workers(3, 1)), now), None);
        assert_eq!(stall.note_workers(Some(workers(3, 0)), now), None);
        assert!(stall.note_workers(Some(workers(3, 0)), now).is_some());
        assert_eq!(stall.note_workers(None, now), None);
    }

    #[test]
    fn workers_that_lost_a_test_and_do_not_start_another_are_dead() {
        let mut stall = StallDetector::new(STALL_AFTER);
        let now = Instant::now();
        let working = |stall: &mut StallDetector| stall.note_workers(Some(workers(3, 2)), now);
        stall.note_lost_test();
        assert_eq!(working(&mut stall), None, "one report is not enough");
        assert!(working(&mut stall).is_some(), "they still say that they are working");
        // The canary that comes next is not given up because of the same test.
        assert_eq!((working(&mut stall), working(&mut stall)), (None, None));
        stall.note_lost_test();
        stall.note_progress(now);
        assert_eq!((working(&mut stall), working(&mut stall)), (None, None));
    }

    #[test]
    fn workers_are_asked_at_intervals() {
        let mut stall = StallDetector::new(STALL_AFTER);
        let sent_at = Instant::now();
        let asked_at = sent_at + STALL_AFTER;
        for answer in [Some(workers(3, 1)), None] {
            assert_eq!(stall.note_workers(answer, asked_at), None);
            assert!(!stall.must_ask(sent_at, asked_at + Duration::from_secs(7)));
            assert!(stall.must_ask(sent_at, asked_at + Duration::from_secs(8)));
        }
    }

    #[test]
    fn test_is_forgotten_if_the_queue_is_empty_long_after_it_was_sent() {
        let mut stall = StallDetector::new(STALL_AFTER);
        let sent_at = Instant::now();
        assert!(!stall.is_forgotten(sent_at));
        assert_eq!(stall.note_workers(Some(workers(0, 0)), sent_at + STALL_AFTER), None);
        assert!(stall.is_forgotten(sent_at));
        assert!(!stall.is_forgotten(sent_at + Duration::from_secs(1)), "it may be on its way into the queue");
        stall.note_progress(sent_at + STALL_AFTER);
        assert!(!stall.is_forgotten(sent_at));
    }
}
