//! The end of a message that cannot be processed: its dead letter, and the events that end its submission.
//!
//! The dead letter comes first, because a submission that has ended would never get one if the service crashed in between.
//! But it has little time: whatever is wrong with the dead-letter stream, the verdict and the slot do not wait for it.

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
    let mut letter = DeadLetter {
        key: key(&work.message).to_owned(),
        stage: H::STAGE,
        cause: cause.in_full(),
        attempts: info.attempt,
        stored_at_ms: epoch_ms(info.stored_at),
        subject: work.message.subject.to_string(),
        payload: work.message.payload.to_vec(),
        kept_on: None,
    };
    let mut stored = store(work, info, trace, &mut letter).await;
    if publish_all(work, trace, &verdict_events).await.is_err() {
        return unpublished(work);
    }
    if stored.is_err() {
        stored = store(work, info, trace, &mut letter).await;
    }
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

/// Stores the dead letter, and before that its message if it is large.
async fn store<H>(
    work: &Work<H>,
    info: &DeliveryInfo,
    trace: &Trace,
    letter: &mut DeadLetter,
) -> Result<(), PublishError> {
    let publish = |outgoing: Outgoing| async move { work.bus.publish(&outgoing, trace, STORE_TIMEOUT).await };
    if letter.payload.len() > MAX_INLINE_BYTES {
        let subject = topology::dead_message(work.consumer.stream(), info.sequence, letter.stored_at_ms);
        match publish(Outgoing::dead_message(subject.clone(), letter.payload.clone())).await {
            Ok(_) => (letter.kept_on, letter.payload) = (Some(subject), Vec::new()),
            Err(error) => {
                warn!(cause = %Cause::from(error), "cannot keep the message apart from its dead letter");
            }
        }
    }
    match publish(Outgoing::from(&*letter)).await {
        Err(PublishError::TooLarge(_)) => {
            // A truncated payload could be mistaken for the whole.
            let bytes = std::mem::take(&mut letter.payload).len();
            letter.cause = format!("{} (its {bytes} bytes do not fit into a dead letter)", letter.cause);
            publish(Outgoing::from(&*letter)).await.map(drop)
        }
        stored => stored.map(drop),
    }
}
