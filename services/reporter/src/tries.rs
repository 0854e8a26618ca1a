//! The calls that this instance has made for submissions that are not reported yet, so that the report can tell of
//! them. They are for people alone: nothing is decided by them, and with the process they are gone.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use gavel_convex::CallError;
use gavel_domain::SubmissionKey;
use gavel_domain::event::{CallbackAttempt, CallbackKind};
use moka::sync::Cache;

/// So many of a submission's calls are told, the last ones.
const MOST: usize = 16;
/// Of so many submissions.
const SUBMISSIONS: u64 = 20_000;
/// Those of which nothing is heard for so long were reported by another instance, or given up. No pause between two
/// calls is as long.
const IDLE: Duration = Duration::from_mins(30);

/// The calls. Clones share them.
#[derive(Clone)]
pub(crate) struct Tries(Cache<SubmissionKey, Arc<Vec<CallbackAttempt>>>);

impl Tries {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(SUBMISSIONS).time_to_idle(IDLE).build())
    }

    /// Makes a call and keeps what came of it.
    pub(crate) async fn make(
        &self,
        key: &SubmissionKey,
        of: CallbackKind,
        call: impl Future<Output = Result<u16, CallError>>,
    ) -> Result<u16, CallError> {
        let (at, begun) = (SystemTime::now(), Instant::now());
        let called = call.await;
        let made = CallbackAttempt {
            of,
            at_ms: ms(at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()),
            took_ms: ms(begun.elapsed()),
            status: called.as_ref().map_or_else(CallError::status, |&status| Some(status)),
            problem: called.as_ref().err().filter(|error| error.status().is_none()).map(ToString::to_string),
        };
        self.0.entry_by_ref(key).and_upsert_with(|kept| {
            let mut tries = kept.map(|kept| kept.into_value().to_vec()).unwrap_or_default();
            if tries.len() == MOST {
                tries.remove(0);
            }
            tries.push(made);
            Arc::new(tries)
        });
        called
    }

    /// The calls for a submission, which are forgotten with that.
    pub(crate) fn take(&self, key: &SubmissionKey) -> Vec<CallbackAttempt> {
        self.0.remove(key).map(|tries| tries.to_vec()).unwrap_or_default()
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gavel_domain::{Generation, SubmissionId};

    #[tokio::test]
    async fn the_last_calls_are_kept_until_they_are_told() {
        let tries = Tries::new();
        let key = SubmissionKey { id: SubmissionId::new("k97").unwrap(), generation: Generation::FIRST };
        tries.make(&key, CallbackKind::Running, async { Ok(200) }).await.unwrap();
        for status in 500..516 {
            let refused = async { Err(CallError::Status { status, retry_after: None, body: None }) };
            assert!(tries.make(&key, CallbackKind::Result, refused).await.is_err());
        }
        let told: Vec<_> = tries.take(&key).iter().map(|made| (made.of, made.status)).collect();
        assert_eq!(
            (told.len(), told[0], told[15]),
            (16, (CallbackKind::Result, Some(500)), (CallbackKind::Result, Some(515)))
        );
        assert!(tries.take(&key).is_empty());
    }
}
