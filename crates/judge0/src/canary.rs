//! The canary: a tiny program whose run tells whether Judge0 is broken or a program is at fault.
//!
//! Judge0 reports "internal error" both for a program that its sandbox cannot handle and for every program while the
//! sandbox is broken. A message that the interpreter is missing can be the shell's, or forged by the program. In both
//! cases another program tells.

use std::sync::Arc;
use std::time::Duration;

use gavel_domain::LanguageId;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::Instant;
use tracing::debug;

use crate::breaker::BreakerState;
use crate::call::Judge0Error;
use crate::limits::{Judge0Limits, RunSettings};
use crate::outcome::{TestResult, interpret};
use crate::poller::{PollResult, SentTest};
use crate::post::{BatchEntry, EntryResult};
use crate::shared::Shared;
use crate::text;

/// Judge0's language that prints its source.
const PLAIN_TEXT: LanguageId = LanguageId(43);
/// Whatever this means in a language: that Judge0 comes to a result is enough.
const SOURCE: &str = "0";

/// What the run of a canary shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CanaryResult {
    /// Judge0 runs programs.
    Ran,
    /// The compiler or the interpreter of its language is missing.
    ToolMissing,
    /// Judge0 runs no programs. Holds the cause.
    Broken(String),
}

/// Runs canaries, one at a time. Submissions that ask at the same time share one.
pub(crate) struct Canary {
    shared: Arc<Shared>,
    sent_tests: mpsc::Sender<SentTest>,
    last: Mutex<Option<LastRun>>,
}

struct LastRun {
    language: LanguageId,
    sent_at: Instant,
    result: CanaryResult,
}

impl Canary {
    pub(crate) fn new(shared: Arc<Shared>, sent_tests: mpsc::Sender<SentTest>) -> Self {
        Self { shared, sent_tests, last: Mutex::default() }
    }

    /// Finds out whether Judge0 ran programs at some time after `after`.
    ///
    /// # Errors
    /// Returns an error if Judge0 cannot be called.
    pub(crate) async fn check(&self, after: Instant) -> Result<CanaryResult, Judge0Error> {
        let offered = self.shared.languages.borrow().clone();
        let has_plain_text = offered.iter().any(|(language, _)| *language == PLAIN_TEXT);
        let other = offered.first().filter(|_| !has_plain_text).map(|(language, _)| *language);
        match self.check_language(other.unwrap_or(PLAIN_TEXT), after).await? {
            CanaryResult::ToolMissing => Ok(CanaryResult::Ran),
            result => Ok(result),
        }
    }

    /// Finds out whether Judge0 ran programs in a language at some time after `after`.
    ///
    /// # Errors
    /// Returns an error if Judge0 cannot be called.
    pub(crate) async fn check_language(
        &self,
        language: LanguageId,
        after: Instant,
    ) -> Result<CanaryResult, Judge0Error> {
        let mut last = self.last.lock().await;
        if let Some(run) = last.as_ref().filter(|run| run.language == language && run.sent_at >= after) {
            return Ok(run.result.clone());
        }
        let sent_at = Instant::now();
        let result = self.run(language).await?;
        debug!(%language, ?result, "ran a canary on Judge0");
        *last = Some(LastRun { language, sent_at, result: result.clone() });
        Ok(result)
    }

    async fn run(&self, language: LanguageId) -> Result<CanaryResult, Judge0Error> {
        let mut settings = settings(*self.shared.limits.borrow());
        let mut posted = self.submit(language, &settings).await?;
        let accepted = *self.shared.accepted.borrow();
        if let (EntryResult::Rejected(text), Some(accepted)) = (&posted, accepted)
            && !names_language(text)
        {
            // Judge0 hides lower limits. It accepts those of a test that it accepted before.
            settings = accepted;
            posted = self.submit(language, &settings).await?;
        }
        let token = match posted {
            EntryResult::Token(token) => token,
            // It has no such language: it works, and cannot tell more.
            EntryResult::Rejected(text) if names_language(&text) => return Ok(CanaryResult::Ran),
            EntryResult::Rejected(text) => {
                return Ok(CanaryResult::Broken(format!("it rejected a canary: {text}")));
            }
            EntryResult::Invalid => {
                return Ok(CanaryResult::Broken("answer without a token".to_owned()));
            }
        };
        let sent_at = Instant::now();
        let (result, receiver) = oneshot::channel();
        let deadline = sent_at + settings.wall_time + self.shared.tuning.lost_after;
        let max_run_time = self.shared.max_run_time(&settings);
        let sent = SentTest { token, sent_at, deadline, max_run_time, result };
        let polled = match self.sent_tests.send(sent).await {
            Ok(()) => receiver.await.ok(),
            Err(_) => None,
        };
        Ok(match polled {
            Some(PollResult::Finished(report)) => match interpret(report, &settings) {
                TestResult::Ran(_) | TestResult::CompileError(_) => CanaryResult::Ran,
                TestResult::MaybeMissing { .. } => CanaryResult::ToolMissing,
                TestResult::Failed(cause) => CanaryResult::Broken(cause),
            },
            Some(PollResult::Lost(cause)) => CanaryResult::Broken(cause.to_owned()),
            Some(PollResult::Unavailable(cause)) => CanaryResult::Broken(cause),
            None => CanaryResult::Broken("the Judge0 poller has stopped".to_owned()),
        })
    }

    async fn submit(&self, language: LanguageId, settings: &RunSettings) -> Result<EntryResult, Judge0Error> {
        let source = text::encode(SOURCE.as_bytes());
        let entry = [BatchEntry::new(language, &source, String::new(), settings)];
        let submit = || self.shared.client.submit(&entry);
        let posted = if self.shared.breaker.state() == BreakerState::Closed {
            self.shared.call_with_retries(submit).await
        } else {
            // A probe is repeated as a whole.
            submit().await
        };
        Ok(posted?.pop().unwrap_or(EntryResult::Invalid))
    }
}

/// Whether a rejection says that Judge0 does not have the language.
fn names_language(rejection: &str) -> bool {
    rejection.contains("language_id")
}

/// Limits that suffice for any runtime, within those of Judge0.
fn settings(limits: Option<Judge0Limits>) -> RunSettings {
    let at_most = |wanted: Duration, allowed: Option<Duration>| allowed.map_or(wanted, |it| it.min(wanted));
    RunSettings {
        cpu_time: at_most(Duration::from_secs(2), limits.and_then(|it| it.max_cpu_time)),
        wall_time: at_most(Duration::from_secs(5), limits.and_then(|it| it.max_wall_time)),
        memory_kb: limits.and_then(|it| it.max_memory_kb).map_or(128_000, |allowed| allowed.min(128_000)),
        stack_kb: None,
        file_kb: limits.and_then(|it| it.max_file_kb).map_or(64, |allowed| allowed.min(64)),
    }
}
