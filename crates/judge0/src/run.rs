//! One submission: its tests, a window of them ahead, shown in order.

use std::collections::{BTreeSet, VecDeque};
use std::ops::ControlFlow;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use gavel_domain::text::normalize_newlines;
use gavel_domain::{Execution, LanguageId, Question};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::call::CallError;
use crate::judge0::{Fault, Judge0, unavailable};
use crate::limits::{Limits, RunSettings};
use crate::outcome::{Finished, interpret};
use crate::poller::{Flight, Sighting};
use crate::post::{Entry, Posted};
use crate::text;

/// A program and what it is to be run against.
pub struct Job<'a> {
    /// The language.
    pub language: LanguageId,
    /// The program; `\r\n` is `\n` already.
    pub source: &'a str,
    /// Its limits and test cases.
    pub question: &'a Question,
    /// What each stream may have, in bytes; twice the expected output if that is more, and Judge0's limit if that is
    /// less.
    pub max_output_bytes: u64,
}

/// How far a job came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The tests ran, up to where the observer ended it.
    Ran,
    /// The program did not compile; this is what the compiler wrote.
    CompileError(Vec<u8>),
}

/// What is known of a test.
enum Known {
    Ran(Execution),
    /// Judge0 failed on it too often; the last time by this.
    Broken(String),
}

/// The end of a test in flight, by its index.
type Landing<'a> = std::pin::Pin<Box<dyn Future<Output = (usize, Sighting)> + Send + 'a>>;

/// A submission on its way.
struct Run<'a> {
    judge0: &'a Judge0,
    job: &'a Job<'a>,
    source: String,
    settings: RunSettings,
    limits: Limits,
    /// Tests to send, in order; one that Judge0 failed on is in it again.
    unsent: BTreeSet<usize>,
    in_flight: FuturesUnordered<Landing<'a>>,
    /// What is known of the tests from the one whose turn it is.
    known: VecDeque<Option<Known>>,
    /// How many were shown.
    shown: usize,
    /// Whether a test has run: the program compiles.
    compiles: bool,
    faults: Vec<u32>,
}

impl Judge0 {
    /// Runs a job, showing `observer` the execution of each test in their order until it has seen enough. What is
    /// in flight then is forgotten: Judge0 has no way to cancel what is in its queue or runs.
    ///
    /// # Errors
    /// [`Fault`]; what was shown before stands.
    pub async fn run(
        &self,
        job: &Job<'_>,
        observer: &mut (dyn FnMut(Execution) -> ControlFlow<()> + Send),
    ) -> Result<Progress, Fault> {
        let limits = self.limits().await?;
        let settings =
            limits.fit(job.question, job.max_output_bytes).map_err(|it| Fault::Final(it.to_string()))?;
        let tests = job.question.tests.len();
        let run = Run {
            judge0: self,
            job,
            source: text::encode(job.source.as_bytes()),
            settings,
            limits,
            unsent: (0..tests).collect(),
            in_flight: FuturesUnordered::new(),
            known: (0..tests).map(|_| None).collect(),
            shown: 0,
            compiles: false,
            faults: vec![0; tests],
        };
        let breaker = self.breaker();
        tokio::select! {
            ended = run.drive(observer) => ended,
            // Nobody will look at what is in flight.
            problem = breaker.problem() => Err(unavailable(problem)),
        }
    }
}

impl Run<'_> {
    async fn drive(
        mut self,
        observer: &mut (dyn FnMut(Execution) -> ControlFlow<()> + Send),
    ) -> Result<Progress, Fault> {
        loop {
            while let Some(known) = self.known.front_mut().and_then(Option::take) {
                self.known.pop_front();
                self.shown += 1;
                match known {
                    Known::Ran(execution) => {
                        if observer(execution).is_break() {
                            return Ok(Progress::Ran);
                        }
                    }
                    Known::Broken(cause) => return Err(self.broken(&cause)),
                }
            }
            if self.known.is_empty() {
                return Ok(Progress::Ran);
            }
            self.send().await?;
            // All that one look has brought is taken before more is sent, so that it is sent in one batch.
            let mut landed = self.in_flight.next().await;
            drop(self.judge0.shared.telling());
            while let Some((index, sighting)) = landed {
                if let Some(output) = self.take(index, sighting)? {
                    return Ok(Progress::CompileError(output));
                }
                landed = futures::FutureExt::now_or_never(self.in_flight.next()).flatten();
            }
        }
    }

    /// Fills the window, once half of it is free: each batch is a call.
    async fn send(&mut self) -> Result<(), Fault> {
        let window = self.judge0.window + 1;
        let free = window.saturating_sub(self.in_flight.len());
        let is_urgent = self.unsent.first().is_some_and(|first| *first == self.shown);
        if self.unsent.is_empty() || (2 * free < window && !is_urgent) {
            return Ok(());
        }
        let ahead = self.shown + window;
        let next: Vec<usize> =
            self.unsent.iter().copied().take_while(|test| *test < ahead).take(free).collect();
        for batch in next.chunks(self.limits.max_batch) {
            self.send_batch(batch).await?;
        }
        Ok(())
    }

    async fn send_batch(&mut self, tests: &[usize]) -> Result<(), Fault> {
        let entries: Vec<Entry<'_>> = tests.iter().map(|test| self.entry(*test)).collect();
        let sent = self.judge0.patiently(|| self.judge0.shared.client.submit(&entries)).await?;
        let posted = sent.map_err(|error| refused(&error))?;
        let now = Instant::now();
        for (&test, posted) in tests.iter().zip(posted) {
            self.unsent.remove(&test);
            match posted {
                Posted::Token(token) => self.follow(test, token, now).await?,
                Posted::Refused(text) => {
                    return Err(Fault::Final(format!("Judge0 refuses the submission: {text}")));
                }
                Posted::Garbled => self.fault(test, "an answer without a token".to_owned()),
            }
        }
        Ok(())
    }

    async fn follow(&mut self, test: usize, token: String, sent: Instant) -> Result<(), Fault> {
        let (landed, landing) = oneshot::channel();
        let until = sent + self.settings.wall_time + self.judge0.shared.pace.lost_after;
        let followed = self.judge0.flights.send(Flight { token, sent, until, landed }).await;
        followed.map_err(|_| unavailable("the poll of Judge0 has ended".to_owned()))?;
        self.in_flight.push(Box::pin(async move {
            let sighting = landing.await;
            (test, sighting.unwrap_or_else(|_| Sighting::Unseen("the poll of Judge0 has ended".to_owned())))
        }));
        Ok(())
    }

    /// Takes note of a test's end; where the program does not compile, what the compiler wrote.
    fn take(&mut self, test: usize, sighting: Sighting) -> Result<Option<Vec<u8>>, Fault> {
        let report = match sighting {
            Sighting::Final(report) => report,
            Sighting::Lost(what) => {
                self.fault(test, what.to_owned());
                return Ok(None);
            }
            Sighting::Unseen(cause) => return Err(unavailable(cause)),
        };
        match interpret(report, &self.settings) {
            Finished::Ran(execution) => {
                self.compiles = true;
                self.judge0.breaker().delivered();
                self.know(test, Known::Ran(execution));
            }
            // It is compiled anew for each test: what compiled once and then did not is not the program's fault.
            Finished::CompileError(_) if self.compiles => {
                self.fault(test, "a compilation that failed only once".to_owned());
            }
            Finished::CompileError(output) => {
                self.judge0.breaker().delivered();
                return Ok(Some(output));
            }
            Finished::Faulty(what) => self.fault(test, what),
        }
        Ok(None)
    }

    /// Judge0 has failed on a test: it is sent once more, under a fresh token, or given up.
    fn fault(&mut self, test: usize, what: String) {
        self.faults[test] += 1;
        tracing::warn!(test, what, times = self.faults[test], "Judge0 failed on a test");
        if self.faults[test] < self.judge0.shared.pace.max_faults {
            self.unsent.insert(test);
        } else {
            self.know(test, Known::Broken(what));
        }
    }

    fn know(&mut self, test: usize, known: Known) {
        self.known[test - self.shown] = Some(known);
    }

    fn broken(&self, cause: &str) -> Fault {
        let times = self.judge0.shared.pace.max_faults;
        Fault::Final(format!("Judge0 failed on a test {times} times, the last time by {cause}"))
    }

    fn entry(&self, test: usize) -> Entry<'_> {
        let stdin = normalize_newlines(&self.job.question.tests[test].stdin);
        Entry {
            source_code: &self.source,
            language_id: self.job.language.0,
            stdin: text::encode(stdin.as_bytes()),
            cpu_time_limit: self.settings.cpu_time.as_secs_f64(),
            wall_time_limit: self.settings.wall_time.as_secs_f64(),
            memory_limit: self.settings.memory_kb,
            stack_limit: self.settings.stack_kb,
            max_file_size: self.settings.file_kb,
            number_of_runs: 1,
            enable_network: false,
            redirect_stderr_to_stdout: false,
        }
    }
}

/// A batch that Judge0 refuses as a whole.
fn refused(error: &CallError) -> Fault {
    match error {
        CallError::TooLarge { .. } => unavailable(error.to_string()),
        error => Fault::Final(error.to_string()),
    }
}
