//! The order of the callbacks to Convex, across any number of reporters.
//!
//! Convex keeps whatever arrives last, so a running callback that arrives after the result would set a finished submission
//! back permanently. To make the first callback of a submission, a reporter must win its *claim*: one message on a
//! write-once subject, which the server stores for one reporter only. So either the running callback was claimed before the
//! result, and the result waits until that call has certainly ended; or the result was claimed first, and the running
//! callback is never made.

use std::time::{Duration, SystemTime};

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::DirectGetError;
use gavel_domain::SubmissionKey;
use gavel_domain::event::{CallbackAttempt, Judged, Rejudged, Reported};
use gavel_domain::time::epoch_ms;
use gavel_proto::{
    Call, Claimed, DecodeError, WireEvent as _, decode_claim, encode_answered, encode_attempt, encode_claim,
    encode_dropped,
};

use crate::bus::Bus;
use crate::outgoing::{Condition, Outgoing, Trace};
use crate::publish::{PublishError, Stored};
use crate::topology::{self, Stream};

/// How long one record may take to be stored.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a result waits after a running call that was dropped. Convex ends a mutation that runs for longer than a
/// second, so nearly every such call has been applied by then, or never will be. For the others the result is sent again.
const SETTLE_TIME: Duration = Duration::from_secs(1);

/// Why the record of callbacks cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It was not written, or it is unknown whether it was.
    #[error("cannot write the record of callbacks")]
    Write(#[source] PublishError),
    /// It cannot be read.
    #[error("cannot read the record of callbacks")]
    Read(#[source] DirectGetError),
    /// It cannot be decoded.
    #[error("the record of callbacks cannot be decoded")]
    Decode(#[from] DecodeError),
    /// A claim exists, but the replica that answered does not have it yet.
    #[error("the record of callbacks is not replicated yet")]
    Behind,
}

/// Whether the running callback may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunningClaim {
    /// Yes, by this reporter, until the claim expires.
    Won,
    /// No: there is a verdict, or a callback was claimed before.
    Lost,
}

/// The state of the running callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunningCallState {
    /// It was never made and never will be.
    Never,
    /// It has ended.
    Ended,
    /// It may be in progress until this time, and its outcome is unknown.
    Open {
        /// From this time on, the reporter's call has certainly ended.
        expires_at: SystemTime,
    },
}

/// The answer to the claim of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultClaim {
    /// Won: no running callback was made or will be, and no result was reported.
    Won,
    /// A result was reported.
    Reported,
    /// The claim was given before: to another delivery of the result, or to a running callback in this state.
    Lost(RunningCallState),
}

/// The record of callbacks. Each generation of a submission has its own.
#[derive(Clone)]
pub struct Ledger {
    bus: Bus,
    instance: String,
}

impl Ledger {
    /// The record on this connection; `instance` is written into the claims.
    #[must_use]
    pub fn new(bus: Bus, instance: String) -> Self {
        Self { bus, instance }
    }

    /// Tries to claim the running callback until `expires_at`.
    ///
    /// # Errors
    /// Returns an error if the server does not say which claim it has stored.
    pub async fn claim_running(
        &self,
        key: &SubmissionKey,
        expires_at: SystemTime,
    ) -> Result<RunningClaim, LedgerError> {
        let expires_at_ms = epoch_ms(expires_at);
        let judged = topology::subject(Judged::NAME, key);
        let claim = self.claim_of(key, Call::Running { expires_at_ms }, Condition::OnceWhileEmpty(judged));
        if self.write(&claim).await? == Stored::New {
            return Ok(RunningClaim::Won);
        }
        // If the answer to the first attempt was lost, the stored claim is this one. What happened in between is unknown, so
        // it is not used; but no result needs to wait for it either.
        let stored = self.read(&claim.subject).await?;
        if stored.is_some_and(|payload| payload == claim.payload) {
            self.running_ended(key).await?;
        }
        Ok(RunningClaim::Lost)
    }

    /// Records that the running callback has ended and can have no further effect.
    ///
    /// # Errors
    /// Returns an error if the record is not stored; the result then waits until the claim expires.
    pub async fn running_ended(&self, key: &SubmissionKey) -> Result<(), LedgerError> {
        let subject = topology::answered(key);
        let outgoing = Outgoing::new(subject, "gavel.v1.Answered", encode_answered(), Condition::Once);
        self.write(&outgoing).await.map(drop)
    }

    /// Records that no running callback is in progress any more and none will be made, but that Convex may still apply the
    /// last one, because it did not answer.
    ///
    /// # Errors
    /// Returns an error if the record is not stored; the result then waits until the claim expires.
    pub async fn running_dropped(&self, key: &SubmissionKey) -> Result<(), LedgerError> {
        let subject = topology::dropped(key);
        let outgoing = Outgoing::new(subject, "gavel.v1.Dropped", encode_dropped(), Condition::Once);
        self.write(&outgoing).await.map(drop)
    }

    /// Records a callback attempt, for people. Nothing waits for the server: an attempt that it does not store, for instance
    /// while it is unreachable, is missing in the history.
    pub async fn attempted(&self, key: &SubmissionKey, attempt: &CallbackAttempt) {
        if self.bus.is_connected() {
            let payload = encode_attempt(attempt, &self.instance);
            // Fails only if the client is closed.
            let _ = self.bus.client.publish(topology::attempted(key), payload).await;
        }
    }

    /// Makes sure that no running callback starts from now on, and returns the state of an earlier one. It is not stored if the
    /// result was reported, by a reporter that needs no claim. `window` is the longest time that a running callback takes,
    /// according to the configuration.
    ///
    /// # Errors
    /// Returns an error if the claim cannot be written or read; the state is unknown then, and the result must wait.
    pub async fn claim_result(
        &self,
        key: &SubmissionKey,
        window: Duration,
    ) -> Result<ResultClaim, LedgerError> {
        let reported = topology::subject(Reported::NAME, key);
        let claim = self.claim_of(key, Call::Result, Condition::OnceWhileEmpty(reported));
        match self.write(&claim).await? {
            Stored::New => return Ok(ResultClaim::Won),
            Stored::Superseded => return Ok(ResultClaim::Reported),
            Stored::Already => {}
        }
        let claim = self.last_on(&topology::claimed(key)).await?.ok_or(LedgerError::Behind)?;
        let state = match decode_claim(&claim.payload)?.call {
            Call::Result => RunningCallState::Never,
            Call::Running { expires_at_ms } => {
                self.running_state(key, expiry(expires_at_ms, claim.time.into(), window)).await?
            }
        };
        Ok(ResultClaim::Lost(state))
    }

    /// Returns the state of a running callback whose claim expires at this time.
    ///
    /// # Errors
    /// Returns an error if the records cannot be read.
    pub async fn running_state(
        &self,
        key: &SubmissionKey,
        expires_at: SystemTime,
    ) -> Result<RunningCallState, LedgerError> {
        let dropped = topology::dropped(key);
        let (has_ended, dropped) = tokio::try_join!(self.has_running_ended(key), self.last_on(&dropped))?;
        if has_ended {
            return Ok(RunningCallState::Ended);
        }
        let settled_at = dropped.map(|record| SystemTime::from(record.time) + SETTLE_TIME);
        let expires_at = settled_at.map_or(expires_at, |settled_at| settled_at.min(expires_at));
        Ok(RunningCallState::Open { expires_at })
    }

    /// Whether the running callback is recorded as ended.
    ///
    /// # Errors
    /// Returns an error if the record cannot be read.
    pub async fn has_running_ended(&self, key: &SubmissionKey) -> Result<bool, LedgerError> {
        Ok(self.read(&topology::answered(key)).await?.is_some())
    }

    /// Whether the submission has a verdict.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read.
    pub async fn is_judged(&self, key: &SubmissionKey) -> Result<bool, LedgerError> {
        Ok(self.read(&topology::subject(Judged::NAME, key)).await?.is_some())
    }

    /// Returns the verdict of the newest generation from this one on; `None` if that has none yet.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read or the verdict cannot be decoded.
    pub async fn newest_verdict(&self, key: &SubmissionKey) -> Result<Option<Judged>, LedgerError> {
        let mut newest = key.clone();
        while self.is_superseded(&newest).await? {
            newest.generation = newest.generation.next();
        }
        let payload = self.read(&topology::subject(Judged::NAME, &newest)).await?;
        Ok(payload.map(|payload| Judged::decode(&payload)).transpose()?)
    }

    /// Whether there is a newer generation, so that no more callbacks are made for this one.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read.
    pub async fn is_superseded(&self, key: &SubmissionKey) -> Result<bool, LedgerError> {
        let newer = SubmissionKey { generation: key.generation.next(), ..key.clone() };
        Ok(self.read(&topology::subject(Rejudged::NAME, newer)).await?.is_some())
    }

    /// Whether Convex has acknowledged the verdict.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read.
    pub async fn is_reported(&self, key: &SubmissionKey) -> Result<bool, LedgerError> {
        Ok(self.read(&topology::subject(Reported::NAME, key)).await?.is_some())
    }

    fn claim_of(&self, key: &SubmissionKey, call: Call, condition: Condition) -> Outgoing {
        let claimed = Claimed { call, instance: self.instance.clone(), nonce: rand::random() };
        Outgoing::new(topology::claimed(key), "gavel.v1.Claimed", encode_claim(&claimed), condition)
    }

    async fn write(&self, outgoing: &Outgoing) -> Result<Stored, LedgerError> {
        self.bus.publish(outgoing, &Trace::default(), PUBLISH_TIMEOUT).await.map_err(LedgerError::Write)
    }

    async fn read(&self, subject: &str) -> Result<Option<bytes::Bytes>, LedgerError> {
        Ok(self.last_on(subject).await?.map(|message| message.payload))
    }

    async fn last_on(&self, subject: &str) -> Result<Option<StreamMessage>, LedgerError> {
        self.bus.last_on(Stream::Result, subject).await.map_err(LedgerError::Read)
    }
}

/// When a running callback has certainly ended. The claimed time counts within limits that the time of storing sets, since
/// the server stored the claim within the call's window: a call must not be overtaken because its reporter's clock is
/// behind, and must not delay the result by as much as that clock is ahead.
fn expiry(claimed_ms: u64, stored_at: SystemTime, window: Duration) -> SystemTime {
    let claimed = SystemTime::UNIX_EPOCH + Duration::from_millis(claimed_ms);
    claimed.clamp(stored_at + window, stored_at + window * 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_limited_if_the_clock_of_the_claimer_is_wrong() {
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
