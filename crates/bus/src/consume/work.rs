//! The work on one message, from its delivery to its settlement.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use async_nats::jetstream::Message;
use futures::FutureExt as _;
use gavel_domain::Backoff;
use gavel_domain::event::DeadLetter;
use gavel_domain::time::epoch_ms;
use gavel_proto::WireEvent as _;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, error, info_span, warn};

use crate::bus::Bus;
use crate::handler::{Cause, Delivery, Failure, Handler};
use crate::outgoing::{Outgoing, Trace};
use crate::publish::{PublishError, Stored};
use crate::settle::{Settlement, progress, settle};
use crate::topology::{self, ConsumerId};

use super::meter::{Meter, Outcome};

/// How long one attempt to publish may take.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);
/// The delay between attempts to publish what a handler returned: losing its work costs more than waiting.
const PUBLISH_BACKOFF: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(5) };
/// After this many attempts the message is handed back.
const MAX_PUBLISH_ATTEMPTS: u64 = 20;
/// The redelivery delay after a handler has panicked, or if its outputs cannot be published.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// A message in progress, with everything that the work on it needs.
pub(super) struct Work<H> {
    pub(super) bus: Bus,
    pub(super) handler: Arc<H>,
    pub(super) meter: Arc<Meter>,
    pub(super) consumer: ConsumerId,
    pub(super) message: Message,
    pub(super) max_deliveries: Option<u64>,
    pub(super) progress_every: Duration,
    pub(super) abort: CancellationToken,
}

/// What the server says about a delivery.
struct DeliveryInfo {
    attempt: u64,
    stored_at: SystemTime,
}

/// Counts a message as in progress while it lives.
struct InProgress<'a>(&'a AtomicUsize);

impl<'a> InProgress<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) async fn work<H: Handler>(work: Work<H>) {
    let _in_progress = InProgress::new(&work.bus.in_progress);
    let (meter, _slot, began) = (Arc::clone(&work.meter), work.meter.slot(), Instant::now());
    let trace = Trace::from_headers(work.message.headers.as_ref());
    let span = info_span!(
        "event",
        subject = %work.message.subject,
        request_id = trace.request_id.as_ref().map_or("", |id| id.as_str()),
    );
    let abort = work.abort.clone();
    // A message that a panic leaves unsettled would be redelivered only after `ack_wait`.
    let traced = meter.processing(&work.message.subject, trace.traceparent.as_deref());
    let processed = AssertUnwindSafe(process(&work, trace).instrument(traced)).catch_unwind();
    let settlement = async {
        tokio::select! {
            settlement = processed => settlement.unwrap_or_else(|_| {
                error!("the handler panicked");
                meter.ended(Outcome::Panicked);
                Settlement::HandBack(RETRY_DELAY)
            }),
            () = abort.cancelled() => {
                meter.ended(Outcome::Aborted);
                Settlement::HandBack(Duration::ZERO)
            }
            never = report_progress(&work) => never,
        }
    }
    .instrument(span)
    .await;
    settle(&work.message, settlement).await;
    meter.took(began.elapsed());
}

/// Reports progress for as long as the work goes on.
async fn report_progress<H>(work: &Work<H>) -> Settlement {
    loop {
        tokio::time::sleep(work.progress_every).await;
        // While disconnected the client would buffer it, and it would be sent too late.
        if work.bus.is_connected() {
            progress(&work.message).await;
        }
    }
}

async fn process<H: Handler>(work: &Work<H>, trace: Trace) -> Settlement {
    let info = match info(&work.message) {
        Ok(info) => info,
        Err(error) => {
            error!(%error, "message without delivery metadata");
            return Settlement::HandBack(RETRY_DELAY);
        }
    };
    work.meter.delivered(info.attempt, info.stored_at.elapsed().unwrap_or_default());
    let event = match H::Event::decode(&work.message.payload) {
        Ok(event) => event,
        Err(error) => return dead_letter(work, &info, &trace, Vec::new(), &error.into()).await,
    };
    // Otherwise the work would be stored under another key than the one that was requested.
    if key(&work.message) != event.key() {
        let cause = Cause::new("the submission in the message is not the one in its subject");
        return dead_letter(work, &info, &trace, Vec::new(), &cause).await;
    }
    // Checked before the work, so that a message that kills its handler is counted, too.
    let has_too_many_deliveries = work.max_deliveries.is_some_and(|max| info.attempt > max);
    if has_too_many_deliveries && work.handler.counts_deliveries(&event) {
        let cause = Cause::new(&format!("delivered {} times without a result", info.attempt - 1));
        let verdict_events = work.handler.give_up(&event, &cause);
        return dead_letter(work, &info, &trace, verdict_events, &cause).await;
    }
    if let Some(started_event) = work.handler.started_event(&event) {
        match publish(work, &trace, &started_event).await {
            Ok(Stored::Superseded) => return done(work),
            Ok(Stored::New | Stored::Already) => {}
            Err(_) => return unpublished(work),
        }
    }
    let DeliveryInfo { attempt, stored_at } = info;
    let delivery = Delivery { event, trace, attempt, stored_at, consumer: work.consumer };
    let outputs = match work.handler.handle(&delivery).await {
        Ok(outputs) => outputs,
        Err(Failure::Retry { after, cause }) => {
            warn!(%cause, attempt = info.attempt, retry_in_ms = after.as_millis(), "event failed: retrying");
            work.meter.ended(Outcome::Retry);
            return Settlement::HandBack(after);
        }
        Err(Failure::Defer(after)) => {
            debug!(later_ms = after.as_millis(), "event deferred");
            work.meter.ended(Outcome::Deferred);
            return Settlement::HandBack(after);
        }
        Err(Failure::Reject(cause)) => {
            let verdict_events = work.handler.give_up(&delivery.event, &cause);
            return dead_letter(work, &info, &delivery.trace, verdict_events, &cause).await;
        }
    };
    match publish_all(work, &delivery.trace, &outputs).await {
        Ok(()) => done(work),
        Err(PublishFailure::Unable) => unpublished(work),
        // Another attempt would fail in the same way.
        Err(PublishFailure::TooLarge(cause)) => {
            let verdict_events = work.handler.give_up(&delivery.event, &cause);
            dead_letter(work, &info, &delivery.trace, verdict_events, &cause).await
        }
    }
}

/// Publishes the dead letter, and then the events that end the submission. In this order, since a submission that has ended
/// would never get its dead letter.
async fn dead_letter<H: Handler>(
    work: &Work<H>,
    info: &DeliveryInfo,
    trace: &Trace,
    verdict_events: Vec<Outgoing>,
    cause: &Cause,
) -> Settlement {
    error!(%cause, attempts = info.attempt, "event failed permanently: storing a dead letter");
    let subject = work.message.subject.as_str();
    let mut letter = DeadLetter {
        key: key(&work.message).to_owned(),
        stage: H::STAGE,
        cause: cause.in_full(),
        attempts: info.attempt,
        stored_at_ms: epoch_ms(info.stored_at),
        subject: subject.to_owned(),
        payload: work.message.payload.to_vec(),
    };
    let mut stored = publish(work, trace, &Outgoing::from(&letter)).await;
    if let Err(PublishFailure::TooLarge(_)) = stored {
        // A truncated payload could be mistaken for the whole.
        letter.cause = format!("{cause} (its {} bytes do not fit into a dead letter)", letter.payload.len());
        letter.payload = Vec::new();
        stored = publish(work, trace, &Outgoing::from(&letter)).await;
    }
    if stored.is_err() || publish_all(work, trace, &verdict_events).await.is_err() {
        return unpublished(work);
    }
    work.meter.ended(Outcome::DeadLetter);
    Settlement::Ack
}

fn done<H>(work: &Work<H>) -> Settlement {
    work.meter.ended(Outcome::Done);
    Settlement::Ack
}

fn unpublished<H>(work: &Work<H>) -> Settlement {
    work.meter.ended(Outcome::Unpublished);
    Settlement::HandBack(RETRY_DELAY)
}

/// Why an event could not be published, after all attempts.
enum PublishFailure {
    /// It is larger than the server accepts.
    TooLarge(Cause),
    /// The server refuses it or does not answer.
    Unable,
}

async fn publish_all<H>(work: &Work<H>, trace: &Trace, outputs: &[Outgoing]) -> Result<(), PublishFailure> {
    for output in outputs {
        publish(work, trace, output).await?;
    }
    Ok(())
}

/// Publishes an event, with retries. Returns an error if the server does not confirm it within minutes.
async fn publish<H>(work: &Work<H>, trace: &Trace, output: &Outgoing) -> Result<Stored, PublishFailure> {
    for attempt in 1..=MAX_PUBLISH_ATTEMPTS {
        let error = match (work.bus.publish(output, trace, PUBLISH_TIMEOUT).await, &output.if_full) {
            (Ok(stored), _) => return Ok(stored),
            (Err(PublishError::Full), Some(other)) => {
                warn!(to = output.subject, instead = other.subject, "the stream is full");
                return Box::pin(publish(work, trace, other)).await;
            }
            (Err(error @ (PublishError::TooLarge(_) | PublishError::Refused(_))), _) => {
                let is_too_large = matches!(error, PublishError::TooLarge(_));
                let cause = Cause::from(error);
                error!(%cause, to = output.subject, "cannot publish");
                return Err(if is_too_large {
                    PublishFailure::TooLarge(cause)
                } else {
                    PublishFailure::Unable
                });
            }
            (Err(error), _) => error,
        };
        warn!(cause = %Cause::from(error), attempt, to = output.subject, "cannot publish yet: retrying");
        tokio::time::sleep(PUBLISH_BACKOFF.delay(attempt, rand::random())).await;
    }
    Err(PublishFailure::Unable)
}

/// The key in the message's subject.
fn key(message: &Message) -> &str {
    topology::event_and_key(&message.subject).map_or("", |(_, key)| key)
}

fn info(message: &Message) -> Result<DeliveryInfo, async_nats::Error> {
    let info = message.info()?;
    let nanos = u64::try_from(info.published.unix_timestamp_nanos())?;
    Ok(DeliveryInfo {
        attempt: u64::try_from(info.delivered)?,
        stored_at: SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos),
    })
}
