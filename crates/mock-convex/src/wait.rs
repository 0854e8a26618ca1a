//! Waits that are woken by changes and never sleep.

use std::time::Duration;

use crate::{MockConvex, endpoint::Endpoint, state::SubmissionState};

/// An awaited event did not happen in time.
#[derive(Debug, thiserror::Error)]
#[error("waited {after:?} for {what}; {instead}")]
pub struct TimedOut {
    what: String,
    after: Duration,
    instead: String,
}

impl TimedOut {
    pub(crate) fn new(what: &str, after: Duration, instead: String) -> Self {
        Self { what: what.to_owned(), after, instead }
    }
}

impl MockConvex {
    /// Waits until `probe` returns `Some`. It is called now and after every change (a call received, applied or answered,
    /// a submission added).
    ///
    /// # Errors
    /// Returns [`TimedOut`] after `timeout`, with `what` in its text.
    pub async fn wait_for<T>(
        &self,
        what: &str,
        timeout: Duration,
        mut probe: impl FnMut(&Self) -> Option<T>,
    ) -> Result<T, TimedOut> {
        let mut changes = self.shared().changes.subscribe();
        let found = async {
            loop {
                changes.mark_unchanged();
                if let Some(found) = probe(self) {
                    return Some(found);
                }
                changes.changed().await.ok()?;
            }
        };
        match tokio::time::timeout(timeout, found).await {
            Ok(Some(found)) => Ok(found),
            _ => Err(TimedOut::new(what, timeout, self.summary())),
        }
    }

    /// Waits until `wanted` is true for a submission.
    ///
    /// # Errors
    /// Returns [`TimedOut`] after `timeout`, with the submission's state in its text.
    pub async fn wait_submission(
        &self,
        id: &str,
        timeout: Duration,
        mut wanted: impl FnMut(&SubmissionState) -> bool,
    ) -> Result<SubmissionState, TimedOut> {
        let found = self.wait_for("", timeout, |s| s.submission(id).filter(&mut wanted)).await;
        found.map_err(|_| {
            let instead = self.submission(id).map_or_else(
                || "the submission is unknown".to_owned(),
                |s| format!("the submission is {s:?}"),
            );
            TimedOut::new(&format!("submission {id}"), timeout, instead)
        })
    }

    /// Waits until a submission is passed, failed or error.
    ///
    /// # Errors
    /// Returns [`TimedOut`] after `timeout`, with the submission's state in its text.
    pub async fn wait_final(&self, id: &str, timeout: Duration) -> Result<SubmissionState, TimedOut> {
        self.wait_submission(id, timeout, |submission| submission.status.is_final()).await
    }

    /// Waits until each of these submissions has been final at least once.
    ///
    /// # Errors
    /// Returns [`TimedOut`] after `timeout`, with the number of missing submissions and one of them in its text.
    pub async fn wait_all_final(&self, ids: &[String], timeout: Duration) -> Result<(), TimedOut> {
        let mut missing: Vec<&String> = ids.iter().collect();
        let done = self.wait_for("", timeout, |convex| {
            convex.drop_final(&mut missing);
            missing.is_empty().then_some(())
        });
        done.await.map_err(|_| {
            let instead = format!("{} are not final, one of them is {:?}", missing.len(), missing.first());
            TimedOut::new(&format!("{} submissions to be final", ids.len()), timeout, instead)
        })
    }

    /// Waits until at least `count` submissions are final at the same time.
    ///
    /// # Errors
    /// Returns [`TimedOut`] after `timeout`.
    pub async fn wait_final_count(&self, count: u64, timeout: Duration) -> Result<(), TimedOut> {
        let what = format!("{count} final submissions");
        self.wait_for(&what, timeout, |s| (s.final_count() >= count).then_some(())).await
    }

    /// Waits until at least `count` calls have been received, at one endpoint or (with `None`) at all.
    ///
    /// # Errors
    /// Returns [`TimedOut`] after `timeout`.
    pub async fn wait_calls(
        &self,
        endpoint: impl Into<Option<Endpoint>>,
        count: u64,
        timeout: Duration,
    ) -> Result<(), TimedOut> {
        let endpoint = endpoint.into();
        let what = match endpoint {
            Some(endpoint) => format!("{count} calls of {endpoint}"),
            None => format!("{count} calls"),
        };
        self.wait_for(&what, timeout, |s| (s.call_count(endpoint) >= count).then_some(())).await
    }
}
