//! The wire format: protobuf messages, and their conversion to and from domain types.
//!
//! Generated types are private: a message is decoded into a domain value that is valid by construction, or refused with
//! the name of the invalid field. `tests/golden.rs` pins the bytes.

mod bundle;
mod callback;
mod event;
mod heartbeat;
mod submission;
mod verdict;
mod wire_event;

pub use bundle::{decode_bundle, encode_bundle};
pub use callback::{
    Call, Claimed, decode_attempt, decode_claim, encode_answered, encode_attempt, encode_claim,
    encode_dropped,
};
pub use event::Event;
pub use heartbeat::{decode_heartbeat, encode_heartbeat};
pub use wire_event::WireEvent;

/// Generated from `gavel/v1/*.proto`; `tests/generated.rs` keeps it current.
#[expect(unreachable_pub, clippy::pedantic, reason = "generated; the .proto files document it")]
pub(crate) mod v1 {
    include!("../generated/gavel.v1.rs");
}

/// Why a payload could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is not protobuf of this schema.
    #[error("the payload is not a protobuf message of this schema")]
    Malformed(#[from] prost::DecodeError),
    /// A field is missing or invalid. The error does not contain the value, which may be anything.
    #[error("the field {0} is missing or invalid")]
    Field(&'static str),
    /// The subject is not `submission.<event>.<key>` with a known event.
    #[error("the subject is not that of a known event")]
    Subject,
}
