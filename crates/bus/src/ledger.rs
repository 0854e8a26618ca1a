//! The order of the calls to Convex, across any number of reporters.
//!
//! Convex writes whatever arrives last, so a `running` that lands after the result sets a finished submission
//! back for ever. Whoever wants to make the first call of a submission must win its *claim*: one message on a
//! write-once subject, which the server gives to one caller only. So either `running` was claimed before the
//! result, and the result waits until that call can no longer be alive; or the result was claimed first, and
//! `running` is never called.

use std::time::{Duration, SystemTime};

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::DirectGetError;
use gavel_domain::SubmissionKey;
use gavel_domain::event::{Judged, Rejudged, Reported};
use gavel_proto::{Call, Claimed, DecodeError, WireEvent as _, decode_claim, encode_answered, encode_claim};

use crate::bus::Bus;
use crate::outgoing::{Condition, Outgoing, Trace};
use crate::publish::{PublishError, Stored};
use crate::topology::{self, Stream};

const PATIENCE: Duration = Duration::from_secs(5);

/// Why the record cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It was not written, or nobody knows.
    #[error("cannot write the record of callbacks")]
    Write(#[source] PublishError),
    /// It was not read.
    #[error("cannot read the record of callbacks")]
    Read(#[source] DirectGetError),
    /// It is not one of ours.
    #[error("the record of callbacks cannot be decoded")]
    Decode(#[from] DecodeError),
    /// A claim exists, but the replica that was asked does not have it yet.
    #[error("the record of callbacks is not there yet")]
    Behind,
}

/// Whether `running` may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunningClaim {
    /// Yes, by us, until the time of the claim.
    Won,
    /// No: there is a verdict, or somebody has called already.
    Lost,
}

/// What became of `running`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunningFate {
    /// It was never called and never will be.
    Never,
    /// It has ended.
    Ended,
    /// It may be alive until this time, and nobody knows how it ends.
    Open {
        /// From when on the call can no longer be alive on our side.
        expires_at: SystemTime,
    },
}

/// The state of a submission's calls, for whoever is about to call the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultClaim {
    /// Nobody has claimed any call of this submission before, so nothing was reported either.
    pub is_first: bool,
    /// What became of `running`.
    pub running: RunningFate,
}

/// The record of calls. Each generation of a submission has its own.
#[derive(Clone)]
pub struct Ledger {
    bus: Bus,
    instance: String,
}

impl Ledger {
    /// The record behind this connection; `instance` is written into our claims.
    #[must_use]
    pub fn new(bus: Bus, instance: String) -> Self {
        Self { bus, instance }
    }

    /// Tries to win the right to call `running` until `expires_at`.
    ///
    /// # Errors
    /// [`LedgerError::Write`] where the server did not say who has won.
    pub async fn claim_running(
        &self,
        key: &SubmissionKey,
        expires_at: SystemTime,
    ) -> Result<RunningClaim, LedgerError> {
        let since_epoch = expires_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let expires_at_ms = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        let judged = topology::subject(Judged::NAME, key);
        let claim = self.claim_of(key, Call::Running { expires_at_ms }, Condition::OnceWhileEmpty(judged));
        if self.write(&claim).await? == Stored::New {
            return Ok(RunningClaim::Won);
        }
        // It is ours where the answer to the first try was lost. Nobody knows what has come in between, so it is
        // not used; but nobody needs to wait for it either.
        let stands = self.read(&claim.subject).await?;
        if stands.is_some_and(|payload| payload == claim.payload) {
            self.running_ended(key).await?;
        }
        Ok(RunningClaim::Lost)
    }

    /// Records that our call of `running` has ended and can have no further effect.
    ///
    /// # Errors
    /// [`LedgerError::Write`]; the result then waits until the claim expires.
    pub async fn running_ended(&self, key: &SubmissionKey) -> Result<(), LedgerError> {
        let outgoing = Outgoing {
            subject: topology::answered(key),
            schema: "gavel.v1.Answered",
            payload: encode_answered(),
            condition: Condition::Once,
            on_stored: None,
        };
        self.write(&outgoing).await.map(drop)
    }

    /// Makes sure that no call of `running` begins from now on, and says what became of the one before. `window`
    /// is how long such a call lasts at most, by our own configuration.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing is known then, and the result must wait.
    pub async fn claim_result(
        &self,
        key: &SubmissionKey,
        window: Duration,
    ) -> Result<ResultClaim, LedgerError> {
        if self.write(&self.claim_of(key, Call::Result, Condition::Once)).await? == Stored::New {
            return Ok(ResultClaim { is_first: true, running: RunningFate::Never });
        }
        let subject = topology::claimed(key);
        let (claim, has_ended) = tokio::join!(self.last_on(&subject), self.has_running_ended(key));
        let (claim, has_ended) = (claim?.ok_or(LedgerError::Behind)?, has_ended?);
        let running = match decode_claim(&claim.payload)?.call {
            Call::Result => RunningFate::Never,
            Call::Running { .. } if has_ended => RunningFate::Ended,
            Call::Running { expires_at_ms } => {
                RunningFate::Open { expires_at: expiry(expires_at_ms, claim.time.into(), window) }
            }
        };
        Ok(ResultClaim { is_first: false, running })
    }

    /// Whether the call of running is recorded as ended.
    ///
    /// # Errors
    /// [`LedgerError::Read`].
    pub async fn has_running_ended(&self, key: &SubmissionKey) -> Result<bool, LedgerError> {
        Ok(self.read(&topology::answered(key)).await?.is_some())
    }

    /// Whether the submission has a verdict.
    ///
    /// # Errors
    /// [`LedgerError::Read`].
    pub async fn is_judged(&self, key: &SubmissionKey) -> Result<bool, LedgerError> {
        Ok(self.read(&topology::subject(Judged::NAME, key)).await?.is_some())
    }

    /// The verdict of the newest generation from this one on, where it has one.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn newest_verdict(&self, key: &SubmissionKey) -> Result<Option<Judged>, LedgerError> {
        let mut newest = key.clone();
        while self.is_superseded(&newest).await? {
            newest.generation = newest.generation.next();
        }
        let payload = self.read(&topology::subject(Judged::NAME, &newest)).await?;
        Ok(payload.map(|payload| Judged::decode(&payload)).transpose()?)
    }

    /// Whether a newer generation has begun, so that nothing more is told of this one.
    ///
    /// # Errors
    /// [`LedgerError::Read`].
    pub async fn is_superseded(&self, key: &SubmissionKey) -> Result<bool, LedgerError> {
        let newer = SubmissionKey { generation: key.generation.next(), ..key.clone() };
        Ok(self.read(&topology::subject(Rejudged::NAME, newer)).await?.is_some())
    }

    /// Whether Convex has taken the verdict.
    ///
    /// # Errors
    /// [`LedgerError::Read`].
    pub async fn is_reported(&self, key: &SubmissionKey) -> Result<bool, LedgerError> {
        Ok(self.read(&topology::subject(Reported::NAME, key)).await?.is_some())
    }

    fn claim_of(&self, key: &SubmissionKey, call: Call, condition: Condition) -> Outgoing {
        Outgoing {
            subject: topology::claimed(key),
            schema: "gavel.v1.Claimed",
            payload: encode_claim(&Claimed { call, instance: self.instance.clone(), nonce: rand::random() }),
            condition,
            on_stored: None,
        }
    }

    async fn write(&self, outgoing: &Outgoing) -> Result<Stored, LedgerError> {
        self.bus.publish(outgoing, &Trace::default(), PATIENCE).await.map_err(LedgerError::Write)
    }

    async fn read(&self, subject: &str) -> Result<Option<bytes::Bytes>, LedgerError> {
        Ok(self.last_on(subject).await?.map(|message| message.payload))
    }

    async fn last_on(&self, subject: &str) -> Result<Option<StreamMessage>, LedgerError> {
        self.bus.last_on(Stream::Result, subject).await.map_err(LedgerError::Read)
    }
}

/// When a call of `running` can no longer be alive. The claimer's word counts as far as it fits the time at which
/// the server stored the claim, which was within the call's window: a claimer whose clock is behind must not be
/// overtaken, and one whose clock is ahead must not hold up the result for as much.
fn expiry(claimed_ms: u64, stored_at: SystemTime, window: Duration) -> SystemTime {
    let claimed = SystemTime::UNIX_EPOCH + Duration::from_millis(claimed_ms);
    claimed.clamp(stored_at + window, stored_at + window * 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimer_with_a_wrong_clock_is_not_believed() {
        let second = Duration::from_secs(1);
        let stored_at = SystemTime::UNIX_EPOCH + second * 1_000;
        let expiry_ms = |claimed_ms| {
            let expiry = expiry(claimed_ms, stored_at, second * 6);
            expiry.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()
        };
        assert_eq!(expiry_ms(1_006_010), 1_006_010);
        assert_eq!(expiry_ms(1_005_990), 1_006_000);
        assert_eq!(expiry_ms(0), 1_006_000);
        assert_eq!(expiry_ms(u64::MAX), 1_012_000);
    }
}
