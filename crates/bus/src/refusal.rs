//! What the server means when it refuses a message or a stream.

use async_nats::jetstream::context::PublishError;
use async_nats::jetstream::{Error, ErrorCode};

/// The answer in an error of a publish, if the server has answered.
pub(crate) fn server_error(error: &PublishError) -> Option<&Error> {
    std::error::Error::source(error)?.downcast_ref()
}

/// Whether the limits of the server or account are reached, rather than those of one stream.
pub(crate) fn is_full(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
            | ErrorCode::INSUFFICIENT_RESOURCES
            | ErrorCode::STORAGE_RESOURCES_EXCEEDED
            | ErrorCode::MEMORY_RESOURCES_EXCEEDED
    )
}

/// Whether the server failed to write to its store. It has one code for that and for the limits of a stream, whose texts
/// are "maximum bytes exceeded" and the like.
pub(crate) fn is_store_failure(refusal: &Error) -> bool {
    refusal.error_code() == ErrorCode::STREAM_STORE_FAILED && !refusal.to_string().starts_with("maximum ")
}

/// Whether the server would refuse the message again. It would not if a copy of it is still being replicated in the
/// cluster, nor after 503 (temporarily unavailable).
pub(crate) fn is_final(refusal: &Error) -> bool {
    refusal.error_code() != ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT && refusal.code() != 503
}
