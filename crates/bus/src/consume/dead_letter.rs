//! The end of a message that cannot be processed: its dead letter, and the events that end its submission.
//!
//! The dead letter comes first, because a submission that has ended would never get one if the service crashed in between.
//! But it has little time: whatever is wrong with the dead-letter stream, the verdict waits for seconds, and the slot not
//! much longer.

use std::time::Duration;

use gavel_domain::Backoff;
use gavel_domain::event::DeadLetter;
use gavel_domain::time::epoch_ms;
use tracing::{error, warn};

use super::meter::Outcome;
use super::task::{DeliveryInfo, Work, key, publish_all, unpublished};
use crate::handler::{Cause, Handler};
use crate::outgoing::{Outgoing, Trace};
use crate::publish::PublishError;
use crate::settle::Settlement;
use crate::topology;

/// How long one attempt to store a dead letter, or the message that belongs to it, may take.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);
/// The same for a dead letter after the verdict, if NATS has not answered before. The replicas of its stream may take that long
/// to agree on a new leader.
const UNANSWERED_TIMEOUT: Duration = Duration::from_secs(15);
/// A larger message is kept apart from its dead letter, in bytes.
const MAX_INLINE_BYTES: usize = 4 << 10;
/// The redelivery delays of a message that ends no submission while its dead letter cannot be stored.
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(10), cap: Duration::from_mins(5) };

/// Stores the dead letter, and publishes the events that end the submission.
pub(super) async fn dead_letter<H: Handler>(
    work: &Work<H>,
    info: &DeliveryInfo,
    trace: &Trace,
    verdict_events: Vec<Outgoing>,
    cause: &Cause,
) -> Settlement {
    error!(%cause, attempts = info.attempt, "event failed permanently: storing a dead letter");
    let mut dead_letter = DeadLetter {
        key: key(&work.message).to_owned(),
        stage: H::STAGE,
        cause: cause.in_full(),
        attempts: info.attempt,
        stored_at_ms: epoch_ms(info.stored_at),
        subject: work.message.subject.to_string(),
        payload: work.message.payload.to_vec(),
        kept_on: None,
    };
    let first = store(work, info, trace, &mut dead_letter, STORE_TIMEOUT).await;
    if publish_all(work, trace, &verdict_events).await.is_err() {
        return unpublished(work);
    }
    let stored = match first {
        Err(error) if !verdict_events.is_empty() => {
            store_after_verdict(work, info, trace, &mut dead_letter, &error).await
        }
        first => first,
    };
    match stored {
        Ok(()) => {
            work.meter.ended(Outcome::DeadLetter);
            Settlement::Ack
        }
        // Delivered again, it can still get its dead letter.
        Err(error) if verdict_events.is_empty() => {
            error!(cause = %Cause::from(error), "cannot store the dead letter yet");
            work.meter.ended(Outcome::Unpublished);
            Settlement::HandBack(BACKOFF.delay(info.attempt, rand::random()))
        }
        Err(error) => {
            error!(cause = %Cause::from(error), "the dead letter is lost: NATS does not store it");
            work.meter.lost_dead_letter();
            work.meter.ended(Outcome::DeadLetter);
            Settlement::Ack
        }
    }
}

/// Tries once more, after `error`. The verdict does not wait any more, so a stream without a leader gets the time to elect
/// one; a stream that refuses messages, such as a full one, must not hold the slot.
async fn store_after_verdict<H>(
    work: &Work<H>,
    info: &DeliveryInfo,
    trace: &Trace,
    dead_letter: &mut DeadLetter,
    error: &PublishError,
) -> Result<(), PublishError> {
    let timeout = match error {
        PublishError::Unknown(_) | PublishError::Disconnected => UNANSWERED_TIMEOUT,
        _ => STORE_TIMEOUT,
    };
    // Without a connection, the attempt would fail at once.
    let _ = tokio::time::timeout(timeout, work.bus.connection().wait_connected()).await;
    store(work, info, trace, dead_letter, timeout).await
}

/// Stores the dead letter within `timeout`, and before that its message if it is large.
async fn store<H>(
    work: &Work<H>,
    info: &DeliveryInfo,
    trace: &Trace,
    dead_letter: &mut DeadLetter,
    timeout: Duration,
) -> Result<(), PublishError> {
    let publish =
        |outgoing: Outgoing, timeout| async move { work.bus.publish(&outgoing, trace, timeout).await };
    if dead_letter.payload.len() > MAX_INLINE_BYTES {
        let subject = topology::dead_message(work.consumer.stream(), info.sequence, dead_letter.stored_at_ms);
        let message = Outgoing::dead_message(subject.clone(), dead_letter.payload.clone());
        // Not for longer: the dead letter can hold it.
        match publish(message, STORE_TIMEOUT).await {
            Ok(_) => (dead_letter.kept_on, dead_letter.payload) = (Some(subject), Vec::new()),
            Err(error) => {
                warn!(cause = %Cause::from(error), "cannot keep the message apart from its dead letter");
            }
        }
    }
    match publish(Outgoing::from(&*dead_letter), timeout).await {
        Err(PublishError::TooLarge(_)) => {
            // A truncated payload could be mistaken for the whole.
            let bytes = std::mem::take(&mut dead_letter.payload).len();
            dead_letter.cause =
                format!("{} (its {bytes} bytes do not fit into a dead letter)", dead_letter.cause);
            publish(Outgoing::from(&*dead_letter), timeout).await.map(drop)
        }
        stored => stored.map(drop),
    }
}
