//! Deletes submissions at Judge0, which otherwise keeps every source and every hidden input in its database.
//!
//! That needs `ENABLE_SUBMISSION_DELETE` in Judge0's configuration and a key that authorizes it. Without them nothing is
//! deleted. Judge0 deletes only finished submissions, so one that is no longer of interest is tried again later.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use gavel_domain::Backoff;
use gavel_domain::error::chain;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use crate::call::Judge0Error;
use crate::shared::Shared;

/// How many submissions may wait for their deletion. More stay at Judge0.
pub(crate) const CAPACITY: usize = 10_000;
/// How many times the deletion of a submission is tried: with the default delays for four minutes, the longest time that
/// a test may take.
const MAX_ATTEMPTS: u64 = 12;
const MAX_DELAY: Duration = Duration::from_mins(1);

/// A submission to delete, ordered by the time of the next attempt.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Pending {
    due: Instant,
    attempt: u64,
    token: String,
}

/// Runs until it is aborted.
pub(crate) async fn run(shared: Arc<Shared>, mut tokens: mpsc::Receiver<String>) {
    let mut deletions = Deletions { pending: BinaryHeap::new(), refused_at: None };
    loop {
        let due = deletions.pending.peek().map(|Reverse(next)| next.due);
        let mut is_closed = shared.breaker.is_closed();
        let next = async {
            sleep_until(due.unwrap_or_else(Instant::now)).await;
            // The breaker owns the sender, so that waiting cannot fail.
            let _ = is_closed.wait_for(|is_closed| *is_closed).await;
        };
        tokio::select! {
            received = tokens.recv() => match received {
                Some(token) if deletions.are_allowed(&shared) => deletions.add(token),
                Some(_) => deletions.pending.clear(),
                None => return,
            },
            () = next, if due.is_some() => deletions.delete_next(&shared).await,
        }
    }
}

struct Deletions {
    pending: BinaryHeap<Reverse<Pending>>,
    /// When Judge0 last refused a deletion because of the key.
    refused_at: Option<Instant>,
}

impl Deletions {
    fn are_allowed(&self, shared: &Shared) -> bool {
        let is_refused = self.refused_at.is_some_and(|at| at.elapsed() < shared.tuning.refresh_interval);
        !is_refused && shared.limits.borrow().is_some_and(|limits| limits.allows_delete)
    }

    fn add(&mut self, token: String) {
        if self.pending.len() >= CAPACITY {
            warn!(
                waiting = CAPACITY,
                "a submission stays in Judge0's database: too many wait for their deletion"
            );
            return;
        }
        self.pending.push(Reverse(Pending { due: Instant::now(), attempt: 1, token }));
    }

    async fn delete_next(&mut self, shared: &Shared) {
        let Some(Reverse(Pending { attempt, token, .. })) = self.pending.pop() else { return };
        match shared.client.delete(&token).await {
            Ok(()) => self.refused_at = None,
            Err(Judge0Error::Denied { status }) => {
                if self.refused_at.is_none() {
                    info!(
                        status,
                        "Judge0 does not let this key delete submissions: sources and inputs stay in its database; see docs/security.md"
                    );
                }
                self.refused_at = Some(Instant::now());
                self.pending.clear();
            }
            Err(error) if attempt >= MAX_ATTEMPTS => {
                warn!(
                    cause = chain(&error),
                    token, "a submission stays in Judge0's database: it cannot be deleted"
                );
            }
            Err(error) => {
                let delay = Backoff { base: shared.tuning.retry.base, cap: MAX_DELAY }.delay(attempt, 1.0);
                debug!(
                    cause = chain(&error),
                    retry_in_ms = delay.as_millis(),
                    "cannot delete a submission yet"
                );
                self.pending.push(Reverse(Pending {
                    due: Instant::now() + delay,
                    attempt: attempt + 1,
                    token,
                }));
            }
        }
    }
}
