//! The state that the submissions, the poller and the upkeep task share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gavel_domain::LanguageId;
use gavel_domain::engine::{EngineFault, FaultSource};
use tokio::sync::watch;

use crate::breaker::Breaker;
use crate::client::Judge0Client;
use crate::limits::Judge0Limits;
use crate::tuning::Tuning;

/// The shared state of one Judge0 engine.
pub(crate) struct Shared {
    pub(crate) client: Judge0Client,
    pub(crate) breaker: Breaker,
    pub(crate) limits: watch::Sender<Option<Judge0Limits>>,
    pub(crate) languages: watch::Sender<Vec<(LanguageId, String)>>,
    pub(crate) tuning: Tuning,
    /// Held while the poller hands out the results of one poll, so that a submission sees all its results at once.
    delivery: Mutex<()>,
}

impl Shared {
    pub(crate) fn new(client: Judge0Client, tuning: Tuning) -> Self {
        Self {
            client,
            breaker: Breaker::new(tuning.probe),
            limits: watch::Sender::new(None),
            languages: watch::Sender::new(Vec::new()),
            tuning,
            delivery: Mutex::default(),
        }
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
