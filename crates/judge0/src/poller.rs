//! The poller: one task that polls the tests in flight of all submissions of a judge.
//!
//! It uses the batch endpoint, because Judge0 caches the answer to a single `GET` for a second. A test is polled soon
//! after it was sent, then at intervals that grow with its age. Tests that are nearly due join the same call.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use gavel_domain::error::chain;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use crate::call::Judge0Error;
use crate::report::Judge0Report;
use crate::shared::Shared;
use crate::stall::StallDetector;
use crate::tuning::Tuning;

/// The most calls of one poll that run in parallel, when more tests are in flight than fit into a batch.
const MAX_PARALLEL_CALLS: usize = 4;

/// Judge0's status of a test that waits for a worker.
const STATUS_IN_QUEUE: u64 = 1;

/// What polling a test led to.
#[derive(Debug)]
pub(crate) enum PollResult {
    /// Judge0 has finished the test.
    Finished(Judge0Report),
    /// Judge0 does not know the token, or started the test and did not finish it in time.
    Lost(&'static str),
    /// Judge0 could not be polled for too long, or did not start the test in time. Holds the cause.
    Unavailable(String),
}

/// A test that was sent to Judge0. Dropping the receiver of `result` stops its polling.
#[derive(Debug)]
pub(crate) struct SentTest {
    pub(crate) token: String,
    pub(crate) sent_at: Instant,
    /// When the test must have started.
    pub(crate) deadline: Instant,
    /// How long the test may take once it has started.
    pub(crate) max_run_time: Duration,
    pub(crate) result: oneshot::Sender<PollResult>,
}

/// A test in flight and the time of its next poll.
struct Polled {
    test: SentTest,
    due: Instant,
    /// When the test was first seen to run.
    started_at: Option<Instant>,
}

/// Runs until every sender of `sent_tests` is dropped.
pub(crate) async fn poll(shared: Arc<Shared>, mut sent_tests: mpsc::Receiver<SentTest>) {
    let stall = StallDetector::new(shared.tuning.stall_after);
    let mut in_flight = InFlight { tests: HashMap::new(), failures: 0, failing_since: None, stall };
    loop {
        let due = in_flight.next_due();
        tokio::select! {
            biased;
            sent = sent_tests.recv() => match sent {
                Some(test) => in_flight.add(test, &shared.tuning),
                None => return,
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => in_flight.poll(&shared).await,
        }
    }
}

/// The tests in flight, by token.
struct InFlight {
    tests: HashMap<String, Polled>,
    /// Polls in a row that failed.
    failures: u64,
    failing_since: Option<Instant>,
    stall: StallDetector,
}

impl InFlight {
    fn add(&mut self, test: SentTest, tuning: &Tuning) {
        let due = test.sent_at + tuning.min_poll_interval;
        self.tests.insert(test.token.clone(), Polled { test, due, started_at: None });
    }

    fn next_due(&self) -> Option<Instant> {
        self.tests.values().map(|polled| polled.due).min()
    }

    async fn poll(&mut self, shared: &Shared) {
        for (token, _) in self.tests.extract_if(|_, polled| polled.test.result.is_closed()) {
            shared.delete(token);
        }
        let tokens = self.nearly_due(&shared.tuning);
        let batch = shared.limits.borrow().map_or(1, |limits| limits.max_batch);
        let polls: Vec<_> = stream::iter(tokens.chunks(batch).map(<[String]>::to_vec))
            .map(|tokens| async move {
                let reports = poll_batch(shared, &tokens).await;
                shared.breaker.note(&reports);
                (tokens, reports)
            })
            .buffer_unordered(MAX_PARALLEL_CALLS)
            .collect()
            .await;
        for (tokens, reports) in polls {
            match reports {
                Ok(reports) => self.handle_reports(&tokens, reports, shared),
                Err(error) => self.handle_failure(&tokens, &error, shared),
            }
        }
        self.check_progress(shared).await;
    }

    /// The tokens that are due now or within half of their interval, oldest first.
    fn nearly_due(&self, tuning: &Tuning) -> Vec<String> {
        let now = Instant::now();
        let nearly = |polled: &&Polled| polled.due <= now + interval(polled.test.sent_at, now, tuning) / 2;
        let mut due: Vec<_> =
            self.tests.values().filter(nearly).map(|it| (it.test.sent_at, &it.test.token)).collect();
        due.sort();
        due.into_iter().map(|(_, token)| token.clone()).collect()
    }

    fn handle_reports(&mut self, tokens: &[String], reports: Vec<Option<Judge0Report>>, shared: &Shared) {
        (self.failures, self.failing_since) = (0, None);
        let now = Instant::now();
        let _all_at_once = shared.lock_delivery();
        for (token, report) in tokens.iter().zip(reports) {
            let result = match report {
                Some(report) if report.is_final() => {
                    self.stall.note_progress(now);
                    Some(PollResult::Finished(report))
                }
                None => Some(PollResult::Lost("unknown token")),
                Some(report) if report.status == Some(STATUS_IN_QUEUE) => {
                    self.check_waiting(token, now, shared)
                }
                Some(_) => self.check_running(token, now, &shared.tuning),
            };
            if let Some(result) = result {
                self.finish(token, result, shared);
            }
        }
    }

    /// Decides what becomes of a test that waits in the queue. `None` if it is polled again.
    fn check_waiting(&mut self, token: &str, now: Instant, shared: &Shared) -> Option<PollResult> {
        let polled = self.tests.get_mut(token)?;
        if self.stall.is_forgotten(polled.test.sent_at) {
            return Some(PollResult::Lost("no longer in Judge0's queue"));
        }
        if now < polled.test.deadline {
            polled.due = now + interval(polled.test.sent_at, now, &shared.tuning);
            return None;
        }
        // A second token would only wait in the queue behind this one.
        let cause = "Judge0 did not start a test in time".to_owned();
        shared.breaker.open_not_running(cause.clone());
        Some(PollResult::Unavailable(cause))
    }

    /// Decides what becomes of a test that has started. `None` if it is polled again.
    fn check_running(&mut self, token: &str, now: Instant, tuning: &Tuning) -> Option<PollResult> {
        let polled = self.tests.get_mut(token)?;
        let started_at = *polled.started_at.get_or_insert_with(|| {
            self.stall.note_progress(now);
            now
        });
        if now < started_at + polled.test.max_run_time {
            polled.due = now + interval(polled.test.sent_at, now, tuning);
            return None;
        }
        self.stall.note_lost_test();
        Some(PollResult::Lost("test not finished in time"))
    }

    /// Opens the breaker if tests wait in the queue and Judge0 runs nothing.
    async fn check_progress(&mut self, shared: &Shared) {
        let waiting = || self.tests.values().filter(|polled| polled.started_at.is_none());
        let Some(oldest) = waiting().map(|polled| polled.test.sent_at).min() else { return };
        if !self.stall.must_ask(oldest, Instant::now()) {
            return;
        }
        let tokens: Vec<String> = waiting().map(|polled| polled.test.token.clone()).collect();
        let workers = shared.client.workers().await;
        if let Err(error) = &workers {
            debug!(cause = chain(error), "cannot read the state of Judge0's workers");
        }
        if let Some(problem) = self.stall.note_workers(workers.ok(), Instant::now()) {
            shared.breaker.open_not_running(problem.clone());
            for token in tokens {
                self.finish(&token, PollResult::Unavailable(problem.clone()), shared);
            }
        }
    }

    fn handle_failure(&mut self, tokens: &[String], error: &Judge0Error, shared: &Shared) {
        let tuning = &shared.tuning;
        self.failures += 1;
        let now = Instant::now();
        let since = *self.failing_since.get_or_insert(now);
        let delay =
            tuning.retry.delay(self.failures, rand::random()).max(error.retry_after().unwrap_or_default());
        debug!(cause = chain(error), retry_in_ms = delay.as_millis(), "cannot poll the tests in flight");
        let gives_up =
            now + delay > since + tuning.retry_budget || matches!(error, Judge0Error::Rejected { .. });
        for token in tokens {
            if gives_up {
                self.finish(token, PollResult::Unavailable(chain(error)), shared);
            } else if let Some(polled) = self.tests.get_mut(token) {
                polled.due = now + delay;
            }
        }
    }

    fn finish(&mut self, token: &str, result: PollResult, shared: &Shared) {
        if let Some((token, polled)) = self.tests.remove_entry(token) {
            shared.delete(token);
            // The submission may have ended already.
            let _ = polled.test.result.send(result);
        }
    }
}

/// Polls one batch; polls its tokens one by one if the answer would be too large.
async fn poll_batch(shared: &Shared, tokens: &[String]) -> Result<Vec<Option<Judge0Report>>, Judge0Error> {
    let all: Vec<&str> = tokens.iter().map(String::as_str).collect();
    match shared.client.poll(&all).await {
        Err(Judge0Error::TooLarge { .. }) if all.len() > 1 => {
            let mut reports = Vec::with_capacity(all.len());
            for token in all {
                reports.extend(shared.client.poll(&[token]).await?);
            }
            Ok(reports)
        }
        reports => reports,
    }
}

/// The time until the next poll of a test. It grows with the test's age: a short test is polled soon, and a long one
/// needs few polls and is seen late by at most a fraction of the time it took.
fn interval(sent_at: Instant, now: Instant, tuning: &Tuning) -> Duration {
    (now.saturating_duration_since(sent_at) / 2).clamp(tuning.min_poll_interval, tuning.max_poll_interval)
}
