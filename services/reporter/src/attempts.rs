//! Callback attempts. All but the last one, the successful call of the result, are published to a stream, so that those of all
//! instances can be seen, also after a restart; nothing waits until the server has stored them. The last ones of this instance
//! are in the `reported` event. They inform operators; in addition, their number in this process shows whether a call was the
//! first one.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use gavel_bus::Ledger;
use gavel_convex::CallError;
use gavel_domain::SubmissionKey;
use gavel_domain::event::{CallbackAttempt, CallbackKind};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// How many attempts are kept per submission; older ones are dropped.
const MAX_ATTEMPTS_PER_SUBMISSION: usize = 16;
/// For how many submissions attempts are kept.
const MAX_TRACKED_SUBMISSIONS: u64 = 20_000;
/// A submission without an attempt for this long was reported by another instance, or given up. No pause between two
/// attempts is as long.
const IDLE_TIMEOUT: Duration = Duration::from_mins(30);

/// Records callback attempts by submission. Clones share them.
#[derive(Clone)]
pub(crate) struct CallbackAttempts {
    ledger: Ledger,
    latest: Cache<SubmissionKey, Arc<Vec<CallbackAttempt>>>,
}

impl CallbackAttempts {
    pub(crate) fn new(ledger: Ledger) -> Self {
        // Each new submission is kept, in place of the one without a call for longest.
        let cache =
            Cache::builder().max_capacity(MAX_TRACKED_SUBMISSIONS).eviction_policy(EvictionPolicy::lru());
        Self { ledger, latest: cache.time_to_idle(IDLE_TIMEOUT).build() }
    }

    /// Makes a call, and records when it began, how long it took and how it ended.
    pub(crate) async fn record(
        &self,
        key: &SubmissionKey,
        kind: CallbackKind,
        call: impl Future<Output = Result<u16, CallError>>,
    ) -> Result<u16, CallError> {
        let (at, begun) = (SystemTime::now(), Instant::now());
        let result = call.await;
        let attempt = CallbackAttempt {
            kind,
            at_ms: gavel_domain::time::epoch_ms(at),
            took_ms: ms(begun.elapsed()),
            status: result.as_ref().map_or_else(CallError::status, |&status| Some(status)),
            problem: result.as_ref().err().filter(|error| error.status().is_none()).map(ToString::to_string),
        };
        // The `reported` event that follows a successful result call contains it.
        if kind == CallbackKind::Running || result.is_err() {
            self.ledger.attempted(key, &attempt).await;
        }
        self.keep(key, attempt);
        result
    }

    fn keep(&self, key: &SubmissionKey, attempt: CallbackAttempt) {
        self.latest.entry_by_ref(key).and_upsert_with(|earlier| {
            let mut attempts = earlier.map(|earlier| earlier.into_value().to_vec()).unwrap_or_default();
            if attempts.len() == MAX_ATTEMPTS_PER_SUBMISSION {
                attempts.remove(0);
            }
            attempts.push(attempt);
            Arc::new(attempts)
        });
    }

    /// How many of the kept attempts of this instance were result calls.
    pub(crate) fn result_calls(&self, key: &SubmissionKey) -> usize {
        let attempts = self.latest.get(key).unwrap_or_default();
        attempts.iter().filter(|attempt| attempt.kind == CallbackKind::Result).count()
    }

    /// Removes and returns the attempts for a submission.
    pub(crate) fn take(&self, key: &SubmissionKey) -> Vec<CallbackAttempt> {
        self.latest.remove(key).map(|attempts| attempts.to_vec()).unwrap_or_default()
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gavel_bus::topology::TopologySettings;
    use gavel_bus::{Bus, NatsConfig};
    use gavel_convex::AnswerOrigin;
    use gavel_domain::{Generation, SubmissionId};

    #[tokio::test]
    async fn the_latest_attempts_are_kept_until_taken() {
        let config = NatsConfig { url: "127.0.0.1:1".to_owned(), ..NatsConfig::default() };
        let bus = Bus::connect(&config, TopologySettings::default()).await.unwrap();
        let attempts = CallbackAttempts::new(Ledger::new(bus, "r".to_owned()));
        let key = SubmissionKey { id: SubmissionId::new("k97").unwrap(), generation: Generation::FIRST };
        attempts.record(&key, CallbackKind::Running, async { Ok(200) }).await.unwrap();
        for status in 500..516 {
            let refused = async {
                Err(CallError::Status {
                    status,
                    retry_after: None,
                    body: None,
                    origin: AnswerOrigin::Unknown,
                })
            };
            assert!(attempts.record(&key, CallbackKind::Result, refused).await.is_err());
            let calls = usize::from(status) - 499;
            assert_eq!(attempts.result_calls(&key), calls, "without the running call");
        }
        let taken: Vec<_> =
            attempts.take(&key).iter().map(|attempt| (attempt.kind, attempt.status)).collect();
        assert_eq!(
            (taken.len(), taken[0], taken[15]),
            (16, (CallbackKind::Result, Some(500)), (CallbackKind::Result, Some(515)))
        );
        assert!(attempts.take(&key).is_empty());
    }
}
