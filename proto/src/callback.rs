//! The reporters' record of the callbacks of a submission.

use bytes::Bytes;
use gavel_domain::event::CallbackAttempt;
use prost::Message as _;

use crate::wire_event::{attempt_from, attempt_to};
use crate::{DecodeError, v1};

/// The callback that a claim is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// The running callback; from `expires_at_ms` on, the reporter's call has certainly ended.
    Running {
        /// Milliseconds since the Unix epoch.
        expires_at_ms: u64,
    },
    /// The result callback; the running callback was never made and never will be.
    Result,
}

/// The claim to the first callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The callback.
    pub call: Call,
    /// The reporter that makes it.
    pub instance: String,
    /// A random number, by which a reporter that lost the answer recognizes its own claim.
    pub nonce: u64,
}

/// Encodes a claim.
#[must_use]
pub fn encode_claim(claim: &Claimed) -> Bytes {
    use v1::claimed::Call as Wire;
    let call = match claim.call {
        Call::Running { expires_at_ms } => {
            Wire::Running(v1::RunningCall { expires_at_unix_ms: expires_at_ms })
        }
        Call::Result => Wire::Result(v1::ResultCall {}),
    };
    v1::Claimed { call: Some(call), instance: claim.instance.clone(), nonce: claim.nonce }
        .encode_to_vec()
        .into()
}

/// Decodes a claim.
///
/// # Errors
/// Returns an error if the payload is not a claim.
pub fn decode_claim(payload: &[u8]) -> Result<Claimed, DecodeError> {
    use v1::claimed::Call as Wire;
    let wire = v1::Claimed::decode(payload)?;
    let call = match wire.call.ok_or(DecodeError::Field("call"))? {
        Wire::Running(running) => Call::Running { expires_at_ms: running.expires_at_unix_ms },
        Wire::Result(v1::ResultCall {}) => Call::Result,
    };
    Ok(Claimed { call, instance: wire.instance, nonce: wire.nonce })
}

/// Encodes the record that the running callback has ended. It has no content: that it exists is enough.
#[must_use]
pub fn encode_answered() -> Bytes {
    v1::Answered {}.encode_to_vec().into()
}

/// Encodes the record that a running callback was dropped.
#[must_use]
pub fn encode_dropped() -> Bytes {
    v1::Dropped {}.encode_to_vec().into()
}

/// Encodes a callback attempt of the reporter `instance`.
#[must_use]
pub fn encode_attempt(attempt: &CallbackAttempt, instance: &str) -> Bytes {
    let attempt = Some(attempt_to(attempt));
    v1::Attempted { attempt, instance: instance.to_owned() }.encode_to_vec().into()
}

/// Decodes a callback attempt, and the reporter that made it.
///
/// # Errors
/// Returns an error if the payload is not an attempt at a callback that this version knows.
pub fn decode_attempt(payload: &[u8]) -> Result<(CallbackAttempt, String), DecodeError> {
    let wire = v1::Attempted::decode(payload)?;
    let attempt = wire.attempt.and_then(attempt_from).ok_or(DecodeError::Field("attempt"))?;
    Ok((attempt, wire.instance))
}
