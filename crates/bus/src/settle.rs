//! Settling a delivery: acknowledging it, handing it back, or reporting progress. Nothing else settles messages.

use std::time::Duration;

use async_nats::jetstream::{AckKind, Message};
use tracing::warn;

/// How a delivery ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// The message is done.
    Ack,
    /// The message is to be delivered again, to any instance, after this time.
    HandBack(Duration),
}

/// Settles a message. If the settlement is lost, the message is delivered again, which handlers expect.
pub(crate) async fn settle(message: &Message, settlement: Settlement) {
    let kind = match settlement {
        Settlement::Ack => AckKind::Ack,
        Settlement::HandBack(Duration::ZERO) => AckKind::Nak(None),
        Settlement::HandBack(after) => AckKind::Nak(Some(after)),
    };
    if let Err(error) = message.ack_with(kind).await {
        warn!(%error, subject = %message.subject, "cannot settle a message: it will be delivered again");
    }
}

/// Reports that the work goes on, so that the server does not deliver the message to another instance.
pub(crate) async fn progress(message: &Message) {
    if let Err(error) = message.ack_with(AckKind::Progress).await {
        warn!(%error, subject = %message.subject, "cannot report progress");
    }
}
