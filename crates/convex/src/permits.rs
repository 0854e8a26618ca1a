//! Limits how many calls run in parallel against one Convex deployment, and decides which call goes first.
//!
//! Every call needs a permit, so a burst, or a Convex that has just recovered, meets a bounded number of calls.
//! Retries share at most half of the permits: a callback that Convex refuses again and again, or answers slowly
//! each time, cannot keep other callbacks from their first attempt. For the same reason, `running` callbacks that no
//! result waits for share a quarter of the permits.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a retry waits for a permit. After that its message goes back to the queue.
const RETRY_PERMIT_TIMEOUT: Duration = Duration::from_millis(250);

/// The permits for parallel calls to one Convex deployment. Clones share them.
#[derive(Clone, Debug)]
pub struct CallPermits {
    all: Arc<Semaphore>,
    retries: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

/// The permission to make one call at a time, returned on drop. Do not hold it during a pause between two calls.
#[derive(Debug)]
pub struct CallPermit {
    _call: OwnedSemaphorePermit,
    _share: Option<OwnedSemaphorePermit>,
    /// Whether it is for a retry.
    pub(crate) is_retry: bool,
}

impl CallPermit {
    /// Marks the next call as a retry although it did not need a permit of those.
    #[must_use]
    pub fn for_retry(self, is_retry: bool) -> Self {
        Self { is_retry: self.is_retry || is_retry, ..self }
    }
}

impl CallPermits {
    /// Returns `max` permits, and at least one.
    #[must_use]
    pub fn new(max: usize) -> Self {
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.max(1)));
        Self { all: semaphore(max), retries: semaphore(max / 2), running: semaphore(max / 4) }
    }

    /// Waits for a permit for a first attempt. Waiters are served in order.
    pub(crate) async fn acquire(&self) -> CallPermit {
        CallPermit { _call: acquire(&self.all).await, _share: None, is_retry: false }
    }

    /// Waits for a permit for a retry. Returns `None` if all retry permits stay in use for [`RETRY_PERMIT_TIMEOUT`].
    pub(crate) async fn acquire_for_retry(&self) -> Option<CallPermit> {
        let retry = tokio::time::timeout(RETRY_PERMIT_TIMEOUT, acquire(&self.retries)).await.ok()?;
        Some(CallPermit { _call: acquire(&self.all).await, _share: Some(retry), is_retry: true })
    }

    /// Waits for a permit for a `running` callback, of those that these share.
    pub(crate) async fn acquire_for_running(&self) -> CallPermit {
        let running = acquire(&self.running).await;
        CallPermit { _call: acquire(&self.all).await, _share: Some(running), is_retry: false }
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(semaphore).acquire_owned().await.expect("it is never closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn retries_leave_permits_for_first_attempts() {
        let permits = CallPermits::new(4);
        let retries = [permits.acquire_for_retry().await, permits.acquire_for_retry().await];
        assert!(retries.iter().all(Option::is_some));
        assert!(permits.acquire_for_retry().await.is_none());
        let first = [permits.acquire().await, permits.acquire().await];
        let waiting = tokio::time::timeout(Duration::from_millis(20), permits.acquire()).await;
        assert!(waiting.is_err(), "four permits are in use");
        drop(retries);
        assert!(permits.acquire_for_retry().await.is_some());
        drop(first);
    }

    #[tokio::test]
    async fn running_callbacks_leave_permits_for_results() {
        let permits = CallPermits::new(8);
        let running = [permits.acquire_for_running().await, permits.acquire_for_running().await];
        let waiting = tokio::time::timeout(Duration::from_millis(20), permits.acquire_for_running()).await;
        assert!(waiting.is_err(), "a quarter of the permits is in use");
        let mut results = Vec::new();
        for _ in 0..6 {
            results.push(permits.acquire().await);
        }
        drop(running);
        drop(permits.acquire_for_running().await);
    }

    #[tokio::test]
    async fn a_single_permit_serves_first_attempts_and_retries() {
        let permits = CallPermits::new(0);
        drop(permits.acquire_for_retry().await.unwrap());
        drop(permits.acquire_for_running().await);
        drop(permits.acquire().await);
    }
}
