//! The reporters' record of the calls that they make for a submission.

use bytes::Bytes;
use prost::Message as _;

use crate::{DecodeError, v1};

/// Which call won the right to be made first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `running`; from `expires_at_ms` (milliseconds since the Unix epoch) on it is no longer alive on our side.
    Running {
        /// Milliseconds since the Unix epoch.
        expires_at_ms: u64,
    },
    /// The result; `running` was never called and never will be.
    Result,
}

/// The claim to the first call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Which call.
    pub call: Call,
    /// Who makes it.
    pub instance: String,
    /// A random number: a caller who has lost the answer knows its own claim again by it.
    pub nonce: u64,
}

/// The payload of a claim.
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

/// The claim of a payload.
///
/// # Errors
/// [`DecodeError`] where it is not one.
pub fn decode_claim(payload: &[u8]) -> Result<Claimed, DecodeError> {
    use v1::claimed::Call as Wire;
    let wire = v1::Claimed::decode(payload)?;
    let call = match wire.call.ok_or(DecodeError::Field("call"))? {
        Wire::Running(running) => Call::Running { expires_at_ms: running.expires_at_unix_ms },
        Wire::Result(v1::ResultCall {}) => Call::Result,
    };
    Ok(Claimed { call, instance: wire.instance, nonce: wire.nonce })
}

/// The payload that says that the call of running has ended. Its existence is all that is read.
#[must_use]
pub fn encode_answered() -> Bytes {
    v1::Answered {}.encode_to_vec().into()
}
