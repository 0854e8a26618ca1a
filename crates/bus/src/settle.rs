//! The end of a delivery: acknowledged, handed back, or kept in hand a while longer. Nothing else in the
//! project settles a message.

use std::time::Duration;

use async_nats::jetstream::{AckKind, Message};
use tracing::warn;

/// How a delivery ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// Done; never again.
    Ack,
    /// Not done: to be delivered again, to anybody, after this time.
    HandBack(Duration),
}

/// Tells the server. A loss of this message only means another delivery, which handlers are made for.
pub(crate) async fn settle(message: &Message, settlement: Settlement) {
    let kind = match settlement {
        Settlement::Ack => AckKind::Ack,
        Settlement::HandBack(Duration::ZERO) => AckKind::Nak(None),
        Settlement::HandBack(after) => AckKind::Nak(Some(after)),
    };
    if let Err(error) = message.ack_with(kind).await {
        warn!(%error, subject = %message.subject, "cannot settle a message; it comes back by itself");
    }
}

/// Says that the work goes on, so that the message is not given to another.
pub(crate) async fn progress(message: &Message) {
    if let Err(error) = message.ack_with(AckKind::Progress).await {
        warn!(%error, subject = %message.subject, "cannot report progress");
    }
}
