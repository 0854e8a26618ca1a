//! The state that the submissions, the poller and the upkeep task share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gavel_domain::LanguageId;
use gavel_domain::engine::{EngineFault, FaultSource};
use tokio::sync::{mpsc, watch};

use crate::breaker::Breaker;
use crate::client::Judge0Client;
use crate::limits::{Judge0Limits, RunSettings};
use crate::tuning::Tuning;

/// The shared state of one Judge0 engine.
pub(crate) struct Shared {
    pub(crate) client: Judge0Client,
    pub(crate) breaker: Breaker,
    pub(crate) limits: watch::Sender<Option<Judge0Limits>>,
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

/// The delay before a submission that was handed back is tried again: long enough to spare Judge0, short enough for
/// another judge to take it, and random, so that submissions handed back together do not return together.
pub(crate) fn handback_delay() -> Duration {
    Duration::from_secs(3) + Duration::from_secs(7).mul_f64(rand::random())
}
