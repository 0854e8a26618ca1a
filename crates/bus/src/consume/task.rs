//! A message in progress, and what publishing for it takes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_nats::jetstream::Message;
use gavel_domain::Backoff;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::meter::{Meter, Outcome};
use crate::bus::Bus;
use crate::handler::Cause;
use crate::outgoing::{IfFull, Outgoing, Trace};
use crate::publish::{PublishError, Stored};
use crate::settle::Settlement;
use crate::topology::{self, ConsumerId};

/// How long one attempt to publish may take.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);
/// The delay between attempts to publish what a handler returned: losing its work costs more than waiting.
const PUBLISH_BACKOFF: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(5) };
/// After this many attempts the message is handed back.
const MAX_PUBLISH_ATTEMPTS: u64 = 20;
/// The redelivery delay after a handler has panicked, or if its outputs cannot be published.
pub(super) const RETRY_DELAY: Duration = Duration::from_secs(5);

/// A message in progress, with everything that the work on it needs.
pub(super) struct Work<H> {
    pub(super) bus: Bus,
    pub(super) handler: Arc<H>,
    pub(super) meter: Arc<Meter>,
    pub(super) consumer: ConsumerId,
    pub(super) message: Message,
    pub(super) max_deliveries: Option<u64>,
    /// From this age on, a message that would be delivered again is given up instead.
    pub(super) max_age: Option<Duration>,
    pub(super) progress_every: Duration,
    pub(super) abort: CancellationToken,
}

/// What the server says about a delivery.
pub(super) struct DeliveryInfo {
    pub(super) attempt: u64,
    pub(super) stored_at: SystemTime,
    /// The sequence number in the stream.
    pub(super) sequence: u64,
}

impl DeliveryInfo {
    /// How long ago the server stored the message.
    pub(super) fn age(&self) -> Duration {
        self.stored_at.elapsed().unwrap_or_default()
    }
}

/// Hands a message back whose events could not be published.
pub(super) fn unpublished<H>(work: &Work<H>) -> Settlement {
    work.meter.ended(Outcome::Unpublished);
    Settlement::HandBack(RETRY_DELAY)
}

/// Why an event could not be published, after all attempts.
pub(super) enum PublishFailure {
    /// It is larger than the server accepts.
    TooLarge(Cause),
    /// The server refuses it or does not answer.
    Unable(Cause),
    /// Its stream is full, and it is to be published in a later delivery of the message in progress, after this time.
    Later(Duration),
}

pub(super) async fn publish_all<H>(
    work: &Work<H>,
    trace: &Trace,
    outputs: &[Outgoing],
) -> Result<(), PublishFailure> {
    for output in outputs {
        publish(work, trace, output).await?;
    }
    Ok(())
}

/// Publishes an event, with retries. Returns an error if the server does not confirm it within minutes.
pub(super) async fn publish<H>(
    work: &Work<H>,
    trace: &Trace,
    output: &Outgoing,
) -> Result<Stored, PublishFailure> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let cause = match (work.bus.publish(output, trace, PUBLISH_TIMEOUT).await, &output.if_full) {
            (Ok(stored), _) => return Ok(stored),
            (Err(PublishError::Full), Some(IfFull::Publish(other))) => {
                warn!(to = output.subject, instead = other.subject, "the stream is full");
                return Box::pin(publish(work, trace, other)).await;
            }
            (Err(PublishError::Full), Some(IfFull::HandBack(after))) => {
                warn!(to = output.subject, later_ms = after.as_millis(), "the stream is full");
                return Err(PublishFailure::Later(*after));
            }
            (Err(error @ (PublishError::TooLarge(_) | PublishError::Refused(_))), _) => {
                let is_too_large = matches!(error, PublishError::TooLarge(_));
                let cause = Cause::from(error);
                error!(%cause, to = output.subject, "cannot publish");
                return Err(if is_too_large {
                    PublishFailure::TooLarge(cause)
                } else {
                    PublishFailure::Unable(unable(output, &cause))
                });
            }
            (Err(error), _) => Cause::from(error),
        };
        warn!(%cause, attempt, to = output.subject, "cannot publish yet: retrying");
        if attempt == MAX_PUBLISH_ATTEMPTS {
            return Err(PublishFailure::Unable(unable(output, &cause)));
        }
        tokio::time::sleep(PUBLISH_BACKOFF.delay(attempt, rand::random())).await;
    }
}

fn unable(output: &Outgoing, cause: &Cause) -> Cause {
    Cause::new(&format!("cannot publish {}: {cause}", output.subject))
}

/// The key in the message's subject.
pub(super) fn key(message: &Message) -> &str {
    topology::event_and_key(&message.subject).map_or("", |(_, key)| key)
}

pub(super) fn info(message: &Message) -> Result<DeliveryInfo, async_nats::Error> {
    let info = message.info()?;
    let nanos = u64::try_from(info.published.unix_timestamp_nanos())?;
    Ok(DeliveryInfo {
        attempt: u64::try_from(info.delivered)?,
        stored_at: SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos),
        sequence: info.stream_sequence,
    })
}
