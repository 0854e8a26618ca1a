//! The Judge0 engine: the state that all submissions of a judge share, and its background tasks.

use std::sync::Arc;

use gavel_domain::LanguageId;
use gavel_domain::engine::EngineFault;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::breaker::Breaker;
use crate::call::Judge0Error;
use crate::canary::Canary;
use crate::client::{InvalidJudge0Config, Judge0Client, Judge0Config};
use crate::deletion;
use crate::limits::Judge0Limits;
use crate::poller::{self, SentTest};
use crate::shared::{Shared, unavailable, unavailable_after};
use crate::tuning::Tuning;
use crate::upkeep;

/// How many sent tests may wait for the poller. It receives them between two polls.
const SENT_TESTS_CAPACITY: usize = 1_024;

/// The engine for one Judge0.
pub struct Judge0 {
    pub(crate) shared: Arc<Shared>,
    pub(crate) sent_tests: mpsc::Sender<SentTest>,
    pub(crate) canary: Arc<Canary>,
    pub(crate) window: usize,
    tasks: [AbortHandle; 3],
}

impl Judge0 {
    /// Starts the background tasks. Judge0 itself may be unreachable at this time. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// Returns an error if the configuration is invalid.
    pub fn start(config: &Judge0Config, tuning: Tuning) -> Result<Self, InvalidJudge0Config> {
        let (deletions, to_delete) = mpsc::channel(deletion::CAPACITY);
        let shared = Arc::new(Shared::new(Judge0Client::new(config)?, tuning, deletions));
        let (sent_tests, received) = mpsc::channel(SENT_TESTS_CAPACITY);
        let canary = Arc::new(Canary::new(Arc::clone(&shared), sent_tests.clone()));
        let polling = tokio::spawn(poller::poll(Arc::clone(&shared), received)).abort_handle();
        let upkeep = tokio::spawn(upkeep::run(Arc::clone(&shared), Arc::clone(&canary))).abort_handle();
        let deleting = tokio::spawn(deletion::run(Arc::clone(&shared), to_delete)).abort_handle();
        let tasks = [polling, upkeep, deleting];
        Ok(Self { shared, sent_tests, canary, window: config.window, tasks })
    }

    /// The circuit breaker, which knows whether Judge0 is reachable.
    #[must_use]
    pub fn breaker(&self) -> &Breaker {
        &self.shared.breaker
    }

    /// The languages that Judge0 offers, with its names for them. Empty until they have been read once.
    #[must_use]
    pub fn languages(&self) -> Vec<(LanguageId, String)> {
        self.shared.languages.borrow().clone()
    }

    /// Returns Judge0's limits as last read. Waits for them if they have not been read yet.
    pub(crate) async fn limits(&self) -> Result<Judge0Limits, EngineFault> {
        let mut limits = self.shared.limits.subscribe();
        let waiting = async {
            tokio::select! {
                biased;
                problem = self.shared.breaker.problem() => Err(unavailable(problem)),
                read = limits.wait_for(Option::is_some) => {
                    read.ok().and_then(|limits| *limits).ok_or_else(|| unavailable("the Judge0 engine has stopped"))
                }
            }
        };
        let waited = timeout(self.shared.tuning.retry_budget, waiting).await;
        waited.unwrap_or_else(|_| Err(unavailable("cannot read Judge0's limits")))
    }

    /// Makes a call until it succeeds, Judge0 rejects it, the breaker opens, or the retry budget is used up.
    pub(crate) async fn call_with_retries<T, F>(
        &self,
        call: impl Fn() -> F,
    ) -> Result<Result<T, Judge0Error>, EngineFault>
    where
        F: Future<Output = Result<T, Judge0Error>>,
    {
        tokio::select! {
            biased;
            problem = self.shared.breaker.problem() => Err(unavailable(problem)),
            result = self.shared.call_with_retries(call) => match result {
                Err(error) if error.can_pass() => Err(unavailable_after(error)),
                result => Ok(result),
            },
        }
    }
}

impl Drop for Judge0 {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
