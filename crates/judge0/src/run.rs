//! One job: sends its tests, up to a window ahead, and passes their executions to the observer in order.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use gavel_domain::engine::{EngineFault, FaultSource, Job, Observer, Progress};
use gavel_domain::text::normalize_newlines;
use gavel_domain::{Execution, catalogue};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::blank::source_to_send;
use crate::call::Judge0Error;
use crate::canary::CanaryResult;
use crate::judge0::Judge0;
use crate::limits::{Judge0Limits, RunSettings};
use crate::outcome::{TestResult, interpret};
use crate::poller::{PollResult, SentTest};
use crate::post::{BatchEntry, EntryResult};
use crate::shared::{unavailable, unavailable_after};
use crate::text;

/// The reason for the learner if Judge0 would refuse the program again.
const REJECTED: &str = "the judge cannot run this submission";

/// What is known about a test.
enum KnownResult {
    Ran(Execution),
    /// Judge0 failed on the test too often. Holds the last failure.
    Failed(TestFailure),
}

/// Why a test has no result.
struct TestFailure {
    cause: String,
    /// The compiler's output, if the program did not compile although it had compiled for another test.
    compiler_output: Option<Vec<u8>>,
}

impl From<String> for TestFailure {
    fn from(cause: String) -> Self {
        Self { cause, compiler_output: None }
    }
}

/// What is learned about a test in flight.
enum Finding {
    /// The poller is done with it.
    Polled(PollResult),
    /// Judge0 failed on it, and a canary ran after that.
    Failed(TestFailure, Result<CanaryResult, Judge0Error>),
    /// A tool of its language seems to be missing, and a canary in the language ran after that.
    MaybeMissing { tool: &'static str, otherwise: TestResult, canary: Result<CanaryResult, Judge0Error> },
}

/// A finding to come, with the test's index.
type PendingFinding<'a> = std::pin::Pin<Box<dyn Future<Output = (usize, Finding)> + Send + 'a>>;

/// A job in progress.
struct JobRun<'a> {
    judge0: &'a Judge0,
    job: &'a Job<'a>,
    source: String,
    settings: RunSettings,
    limits: Judge0Limits,
    /// The tests to send, in order. A test that Judge0 failed on returns here.
    unsent: BTreeSet<usize>,
    in_flight: FuturesUnordered<PendingFinding<'a>>,
    /// What is known about each test that the observer has not seen yet, in order.
    known: VecDeque<Option<KnownResult>>,
    /// The number of executions that the observer has seen.
    observed: usize,
    /// Whether a test has run, which proves that the program compiles.
    compiles: bool,
    /// How many times Judge0 has failed on each test while it ran other programs.
    failures: Vec<u32>,
    /// The number of tests whose failure a canary is to explain.
    unexplained: &'a AtomicUsize,
}

impl Judge0 {
    /// Runs a job and passes the execution of each test to `observer`, in order, until the observer stops the job.
    /// Tests that are in flight at that time are abandoned: Judge0 cannot cancel what it has queued or started.
    ///
    /// `runtime_memory_bytes` is granted on top of the question's memory limit.
    ///
    /// # Errors
    /// Returns [`EngineFault::Final`] if the question does not fit Judge0's limits, Judge0 rejects the program, or
    /// Judge0 fails on one test too often; [`EngineFault::Transient`] if Judge0 broke after it had failed on one of the
    /// job's tests, which may be the reason; [`EngineFault::Unavailable`] if Judge0 cannot be used now for another
    /// reason. What the observer has seen remains valid.
    pub async fn run(
        &self,
        job: &Job<'_>,
        runtime_memory_bytes: u64,
        observer: &mut Observer<'_>,
    ) -> Result<Progress, EngineFault> {
        let Some(source) = source_to_send(job.language, job.source) else {
            return Ok(Progress::CompileError(b"The program is empty.".to_vec()));
        };
        let limits = self.limits().await?;
        let settings = limits
            .fit(job.question, runtime_memory_bytes, job.max_output_bytes)
            .map_err(|misfit| final_fault("the question's limits are not supported by this judge", misfit))?;
        let tests = job.question.tests.len();
        let unexplained = AtomicUsize::new(0);
        let run = JobRun {
            judge0: self,
            job,
            source: text::encode(source.as_bytes()),
            settings,
            limits,
            unsent: (0..tests).collect(),
            in_flight: FuturesUnordered::new(),
            known: (0..tests).map(|_| None).collect(),
            observed: 0,
            compiles: false,
            failures: vec![0; tests],
            unexplained: &unexplained,
        };
        let breaker = self.breaker();
        tokio::select! {
            ended = run.drive(observer) => ended,
            // The results of the tests in flight are of no use any more.
            problem = breaker.problem() => Err(not_running(problem, &unexplained)),
        }
    }
}

impl JobRun<'_> {
    async fn drive(mut self, observer: &mut Observer<'_>) -> Result<Progress, EngineFault> {
        loop {
            while let Some(known) = self.known.front_mut().and_then(Option::take) {
                self.known.pop_front();
                self.observed += 1;
                match known {
                    KnownResult::Ran(execution) => {
                        if observer(execution).is_break() {
                            return Ok(Progress::Ran);
                        }
                    }
                    KnownResult::Failed(TestFailure { compiler_output: Some(output), .. }) => {
                        return Ok(Progress::CompileError(output));
                    }
                    KnownResult::Failed(failure) => return Err(self.too_many_failures(&failure.cause)),
                }
            }
            if self.known.is_empty() {
                return Ok(Progress::Ran);
            }
            self.send().await?;
            // Takes all results of one poll before it sends more, so that the next tests go in one batch.
            let mut result = self.in_flight.next().await;
            drop(self.judge0.shared.lock_delivery());
            while let Some((index, finding)) = result {
                if let Some(output) = self.take(index, finding)? {
                    return Ok(Progress::CompileError(output));
                }
                result = futures::FutureExt::now_or_never(self.in_flight.next()).flatten();
            }
        }
    }

    /// Fills the window if at least half of it is free, because each batch costs a call.
    async fn send(&mut self) -> Result<(), EngineFault> {
        let window = (self.judge0.window + 1).min(self.limits.max_queue.unwrap_or(usize::MAX)).max(1);
        let free = window.saturating_sub(self.in_flight.len());
        let is_urgent = self.unsent.first().is_some_and(|first| *first == self.observed);
        if self.unsent.is_empty() || (2 * free < window && !is_urgent) {
            return Ok(());
        }
        let ahead = self.observed + window;
        let next: Vec<usize> =
            self.unsent.iter().copied().take_while(|test| *test < ahead).take(free).collect();
        for batch in next.chunks(self.limits.max_batch) {
            if self.send_batch(batch).await? < batch.len() {
                break;
            }
        }
        Ok(())
    }

    /// Sends as many of these tests as the queue has room for, at least one, and returns their number. Judge0 rejects a
    /// batch that is larger than the room as a whole: a large one would wait for as long as others send small ones.
    async fn send_batch(&mut self, tests: &[usize]) -> Result<usize, EngineFault> {
        let entries: Vec<BatchEntry<'_>> = tests.iter().map(|test| self.entry(*test)).collect();
        let size = AtomicUsize::new(entries.len());
        let submit = async || {
            let count = size.load(Ordering::Relaxed);
            let posted = self.judge0.shared.client.submit(&entries[..count]).await;
            if matches!(posted, Err(Judge0Error::Busy { .. })) {
                size.store((count / 2).max(1), Ordering::Relaxed);
            }
            posted
        };
        let sent = self.judge0.call_with_retries(submit).await?;
        let posted = sent.map_err(rejected)?;
        let count = posted.len();
        let now = Instant::now();
        for (&test, posted) in tests.iter().zip(posted) {
            self.unsent.remove(&test);
            match posted {
                EntryResult::Token(token) => self.follow(test, token, now).await?,
                EntryResult::Rejected(text) => {
                    return Err(final_fault(REJECTED, format!("Judge0 rejected the submission: {text}")));
                }
                EntryResult::Invalid => self.check_failure(test, "answer without a token".to_owned().into()),
            }
        }
        Ok(count)
    }

    async fn follow(&mut self, test: usize, token: String, sent_at: Instant) -> Result<(), EngineFault> {
        const POLLER_STOPPED: &str = "the Judge0 poller has stopped";
        self.judge0.shared.accepted.send_replace(Some(self.settings));
        let (result, receiver) = oneshot::channel();
        let deadline = sent_at + self.settings.wall_time + self.judge0.shared.tuning.lost_after;
        let max_run_time = self.judge0.shared.max_run_time(&self.settings);
        let sent = SentTest { token, sent_at, deadline, max_run_time, result };
        let sent = self.judge0.sent_tests.send(sent).await;
        sent.map_err(|_| unavailable(POLLER_STOPPED))?;
        self.in_flight.push(Box::pin(async move {
            let result = receiver.await;
            let result = result.unwrap_or_else(|_| PollResult::Unavailable(POLLER_STOPPED.to_owned()));
            (test, Finding::Polled(result))
        }));
        Ok(())
    }

    /// Records what was learned about a test. Returns the compiler's output if the program does not compile.
    fn take(&mut self, test: usize, finding: Finding) -> Result<Option<Vec<u8>>, EngineFault> {
        match finding {
            Finding::Polled(PollResult::Finished(report)) => {
                return Ok(self.take_result(test, interpret(report, &self.settings)));
            }
            Finding::Polled(PollResult::Lost(cause)) => self.check_failure(test, cause.to_owned().into()),
            Finding::Polled(PollResult::Unavailable(cause)) => {
                return Err(not_running(cause, self.unexplained));
            }
            Finding::Failed(failure, canary) => {
                self.must_have_run(canary)?;
                self.unexplained.fetch_sub(1, Ordering::Relaxed);
                self.count_failure(test, failure);
            }
            Finding::MaybeMissing { tool, otherwise, canary } => {
                self.unexplained.fetch_sub(1, Ordering::Relaxed);
                if self.must_have_run(canary)? == CanaryResult::ToolMissing {
                    return Err(self.tool_missing(tool));
                }
                return Ok(self.take_result(test, otherwise));
            }
        }
        Ok(None)
    }

    fn take_result(&mut self, test: usize, result: TestResult) -> Option<Vec<u8>> {
        match result {
            TestResult::Ran(execution) => {
                self.compiles = true;
                self.judge0.breaker().note_finished_test();
                self.record(test, KnownResult::Ran(execution));
            }
            // Judge0 compiles again for each test. If the program compiled once, Judge0 may be at fault; but the program
            // may ask for the time.
            TestResult::CompileError(output) if self.compiles => {
                let cause = "compilation failed after it had succeeded for another test".to_owned();
                self.check_failure(test, TestFailure { cause, compiler_output: Some(output) });
            }
            TestResult::CompileError(output) => {
                self.judge0.breaker().note_finished_test();
                return Some(output);
            }
            TestResult::Failed(cause) => self.check_failure(test, cause.into()),
            TestResult::MaybeMissing { tool, otherwise } => self.check_tool(test, tool, *otherwise),
        }
        None
    }

    /// Finds out whether Judge0 fails on every program or only on this one.
    fn check_failure(&mut self, test: usize, failure: TestFailure) {
        self.unexplained.fetch_add(1, Ordering::Relaxed);
        let (canary, failed_at) = (Arc::clone(&self.judge0.canary), Instant::now());
        self.in_flight
            .push(Box::pin(async move { (test, Finding::Failed(failure, canary.check(failed_at).await)) }));
    }

    /// Finds out whether a tool of the language is missing, or the program wrote the message about that.
    fn check_tool(&mut self, test: usize, tool: &'static str, otherwise: TestResult) {
        self.unexplained.fetch_add(1, Ordering::Relaxed);
        let (canary, language, seen_at) =
            (Arc::clone(&self.judge0.canary), self.job.language, Instant::now());
        self.in_flight.push(Box::pin(async move {
            let finding = match canary.check_language(language, seen_at).await {
                // Perhaps Judge0 fails in this language only.
                Ok(CanaryResult::Broken(cause)) => Finding::Failed(cause.into(), canary.check(seen_at).await),
                canary => Finding::MaybeMissing { tool, otherwise, canary },
            };
            (test, finding)
        }));
    }

    /// Opens the breaker if the canary did not run. Then this job says nothing about its program.
    fn must_have_run(&self, canary: Result<CanaryResult, Judge0Error>) -> Result<CanaryResult, EngineFault> {
        match canary {
            Ok(CanaryResult::Broken(cause)) => {
                self.judge0.breaker().open_not_running(cause.clone());
                // This job's test may be the reason.
                Err(EngineFault::Transient(cause.into()))
            }
            Ok(result) => Ok(result),
            Err(error) => Err(unavailable_after(error)),
        }
    }

    /// Counts a failure of Judge0 on a test, which is then sent again under a new token, unless it failed too often.
    fn count_failure(&mut self, test: usize, failure: TestFailure) {
        self.failures[test] += 1;
        let cause = &failure.cause;
        tracing::warn!(test, cause, times = self.failures[test], "Judge0 failed on a test");
        if self.failures[test] < self.judge0.shared.tuning.max_failures {
            self.unsent.insert(test);
        } else {
            self.record(test, KnownResult::Failed(failure));
        }
    }

    fn record(&mut self, test: usize, known: KnownResult) {
        self.known[test - self.observed] = Some(known);
    }

    fn too_many_failures(&self, cause: &str) -> EngineFault {
        let times = self.judge0.shared.tuning.max_failures;
        let cause = format!("Judge0 failed on a test {times} times; the last cause: {cause}");
        final_fault("the submission could not be judged because of a system error", cause)
    }

    /// The fault of a language whose compiler or interpreter is not installed.
    fn tool_missing(&self, tool: &str) -> EngineFault {
        let language = self.job.language;
        let label = catalogue::label(language).map_or_else(|| format!("language {language}"), str::to_owned);
        let cause = format!("Judge0 has no {tool} for language {language}");
        final_fault(&format!("{label} is not available on this judge"), cause)
    }

    fn entry(&self, test: usize) -> BatchEntry<'_> {
        let stdin = normalize_newlines(&self.job.question.tests[test].stdin);
        BatchEntry::new(self.job.language, &self.source, text::encode(stdin.as_bytes()), &self.settings)
    }
}

/// The fault if Judge0 cannot be used now. If it has failed on tests of this job, one of them may be the reason.
fn not_running(cause: String, unexplained: &AtomicUsize) -> EngineFault {
    match unexplained.load(Ordering::Relaxed) {
        0 => unavailable(cause),
        _ => EngineFault::Transient(cause.into()),
    }
}

/// The fault of a batch that Judge0 rejected as a whole.
fn rejected(error: Judge0Error) -> EngineFault {
    match error {
        Judge0Error::TooLarge { .. } => unavailable(error),
        error => final_fault(REJECTED, error),
    }
}

/// A fault that no other attempt can avoid: the reason for the learner, and the cause for the operator.
fn final_fault(reason: &str, cause: impl Into<FaultSource>) -> EngineFault {
    EngineFault::Final { reason: reason.to_owned(), source: Some(cause.into()) }
}
