//! The state that the submissions, the poller and the upkeep task share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gavel_domain::LanguageId;
use gavel_domain::engine::{EngineFault, FaultSource};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use crate::breaker::Breaker;
use crate::call::Judge0Error;
use crate::client::Judge0Client;
use crate::limits::{Judge0Limits, RunSettings};
use crate::tuning::Tuning;

/// The shared state of one Judge0 engine.
pub(crate) struct Shared {
    pub(crate) client: Judge0Client,
    pub(crate) breaker: Breaker,
    pub(crate) limits: watch::Sender<Option<Judge0Limits>>,
    /// The settings of the test that Judge0 last accepted.
    pub(crate) accepted: watch::Sender<Option<RunSettings>>,
    pub(crate) languages: watch::Sender<Vec<(LanguageId, String)>>,
    pub(crate) tuning: Tuning,
    /// The tokens of submissions to delete at Judge0.
    deletions: mpsc::Sender<String>,
    /// Held while the poller hands out the results of one poll, so that a submission sees all its results at once.
    delivery: Mutex<()>,
}

impl Shared {
    pub(crate) fn new(client: Judge0Client, tuning: Tuning, deletions: mpsc::Sender<String>) -> Self {
        Self {
            client,
            breaker: Breaker::new(tuning.probe),
            limits: watch::Sender::new(None),
            accepted: watch::Sender::new(None),
            languages: watch::Sender::new(Vec::new()),
            tuning,
            deletions,
            delivery: Mutex::default(),
        }
    }

    /// How long a test may take once it has started: the wall times of the compiler, for which Judge0 uses its maximum,
    /// and of the program.
    pub(crate) fn max_run_time(&self, settings: &RunSettings) -> Duration {
        /// Judge0's default maximum.
        const MAX_WALL_TIME: Duration = Duration::from_secs(20);
        let compile_time =
            self.limits.borrow().and_then(|limits| limits.max_wall_time).unwrap_or(MAX_WALL_TIME);
        compile_time + settings.wall_time + self.tuning.start_grace
    }

    /// Makes a call until it succeeds, Judge0 rejects it, or the retry budget is used up.
    ///
    /// # Errors
    /// Returns the last error.
    pub(crate) async fn call_with_retries<T, F>(&self, call: impl Fn() -> F) -> Result<T, Judge0Error>
    where
        F: Future<Output = Result<T, Judge0Error>>,
    {
        let deadline = Instant::now() + self.tuning.retry_budget;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let called = call().await;
            self.breaker.note(&called);
            let error = match called {
                Err(error) if error.can_pass() => error,
                called => return called,
            };
            let delay = self.tuning.retry.delay(attempt, rand::random());
            let delay = delay.max(error.retry_after().unwrap_or_default());
            if Instant::now() + delay >= deadline {
                return Err(error);
            }
            sleep(delay).await;
        }
    }

    /// Has a submission deleted at Judge0, if Judge0 allows that. It stays there if too many others wait.
    pub(crate) fn delete(&self, token: String) {
        let _ = self.deletions.try_send(token);
    }

    /// Waits while the poller hands out results; the poller holds the lock meanwhile.
    pub(crate) fn lock_delivery(&self) -> MutexGuard<'_, ()> {
        self.delivery.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The fault of an engine that cannot take jobs now.
pub(crate) fn unavailable(source: impl Into<FaultSource>) -> EngineFault {
    EngineFault::Unavailable { retry_after: handback_delay(), source: source.into() }
}

/// The fault of a job that needs a call which failed.
pub(crate) fn unavailable_after(error: Judge0Error) -> EngineFault {
    let retry_after = error.retry_after().unwrap_or_default().max(handback_delay());
    EngineFault::Unavailable { retry_after, source: error.into() }
}

/// The delay before a submission that was handed back is tried again: long enough to spare Judge0, short enough for
/// another judge to take it, and random, so that submissions handed back together do not return together.
pub(crate) fn handback_delay() -> Duration {
    Duration::from_secs(3) + Duration::from_secs(7).mul_f64(rand::random())
}
