//! The claims that this process has won (ADR 0002), so that its reporters need not ask NATS for what they know.
//!
//! The claim of a submission and generation is given once. If it was given to the result, no `running` call is made, here or
//! elsewhere. If it was given to a `running` call of this process that has ended before the claim expires, nothing is left
//! that the result must wait for. Everything else (a claim of another process, a call without an answer, one that outlived its
//! claim) is not known here, and the record on NATS decides.

use std::time::Duration;

use gavel_domain::SubmissionKey;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::watch;

/// How many claims are remembered. One that is forgotten costs requests to NATS, nothing else.
const MAX_CLAIMS: u64 = 20_000;
/// How long a claim is remembered. A later delivery asks NATS.
const IDLE_TIMEOUT: Duration = Duration::from_mins(10);

/// The claims by submission and generation. Clones share them.
#[derive(Clone)]
pub(crate) struct OwnClaims(Cache<SubmissionKey, OwnClaim>);

#[derive(Clone)]
enum OwnClaim {
    /// Of a `running` call; whether that has ended.
    Running(watch::Receiver<bool>),
    Result,
}

/// A `running` call in progress. If it is dropped, the end of the call is unknown.
pub(crate) struct OwnCall(watch::Sender<bool>);

impl OwnClaims {
    pub(crate) fn new() -> Self {
        let cache = Cache::builder().max_capacity(MAX_CLAIMS).eviction_policy(EvictionPolicy::lru());
        Self(cache.time_to_idle(IDLE_TIMEOUT).build())
    }

    /// Enters a `running` call whose claim is won and that has not begun.
    pub(crate) fn begin_running(&self, key: &SubmissionKey) -> OwnCall {
        let (sender, receiver) = watch::channel(false);
        self.0.insert(key.clone(), OwnClaim::Running(receiver));
        OwnCall(sender)
    }

    /// Enters the claim of a result that is won.
    pub(crate) fn won_by_result(&self, key: &SubmissionKey) {
        self.0.insert(key.clone(), OwnClaim::Result);
    }

    /// Whether this process has won the claim for the result.
    pub(crate) fn is_of_result(&self, key: &SubmissionKey) -> bool {
        matches!(self.0.get(key), Some(OwnClaim::Result))
    }

    /// Whether this process has made the `running` call, and it has ended. Waits up to `timeout` for its end.
    pub(crate) async fn has_running_ended(&self, key: &SubmissionKey, timeout: Duration) -> bool {
        let Some(OwnClaim::Running(mut call)) = self.0.get(key) else { return false };
        matches!(tokio::time::timeout(timeout, call.wait_for(|ended| *ended)).await, Ok(Ok(_)))
    }
}

impl OwnCall {
    /// Records that the call has ended and can have no further effect, and that its claim has not expired.
    pub(crate) fn ended(self) {
        self.0.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gavel_domain::{Generation, SubmissionId};

    fn key(id: &str) -> SubmissionKey {
        SubmissionKey { id: SubmissionId::new(id).unwrap(), generation: Generation::FIRST }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_running_call_of_this_process_that_has_ended_counts() {
        let (claims, wait) = (OwnClaims::new(), Duration::from_millis(300));
        assert!(!claims.has_running_ended(&key("elsewhere"), wait).await);
        let (a, call) = (key("a"), claims.begin_running(&key("a")));
        assert!(!claims.has_running_ended(&a, wait).await, "still in progress");
        let (has_ended, ()) = tokio::join!(claims.has_running_ended(&a, wait), async { call.ended() });
        assert!(has_ended && claims.has_running_ended(&a, wait).await);
        drop(claims.begin_running(&key("b")));
        assert!(!claims.has_running_ended(&key("b"), wait).await, "its end is unknown");
    }

    #[tokio::test]
    async fn claim_of_the_result_is_not_one_of_running() {
        let claims = OwnClaims::new();
        claims.won_by_result(&key("a"));
        let _call = claims.begin_running(&key("b"));
        assert!(claims.is_of_result(&key("a")));
        assert!(!claims.is_of_result(&key("b")) && !claims.is_of_result(&key("c")));
        assert!(!claims.has_running_ended(&key("a"), Duration::from_millis(300)).await);
    }
}
