//! One message, from receipt to settlement.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use async_nats::jetstream::Message;
use futures::FutureExt as _;
use gavel_domain::Backoff;
use gavel_domain::event::DeadLetter;
use gavel_proto::WireEvent as _;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, error, info_span, warn};

use crate::bus::Bus;
use crate::handler::{Cause, Delivery, Failure, Handler};
use crate::outgoing::{Outgoing, Trace};
use crate::publish::{PublishError, Stored};
use crate::settle::{Settlement, progress, settle};
use crate::topology;

use super::meter::{Meter, Outcome};

/// How long the loop waits for one publish before it starts over.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between tries to publish what a handler returned: losing its work costs more than waiting.
const REPUBLISH: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(5) };
/// After how many tries to publish the message is handed back after all.
const PUBLISH_TRIES: u64 = 20;
/// How long a message rests after a panic of its handler, or when nothing can be published.
const REST: Duration = Duration::from_secs(5);

/// A message in hand, and what is needed to work on it.
pub(super) struct Job<H> {
    pub(super) bus: Bus,
    pub(super) handler: Arc<H>,
    pub(super) meter: Arc<Meter>,
    pub(super) message: Message,
    pub(super) max_deliveries: Option<u64>,
    pub(super) progress_every: Duration,
    pub(super) abort: CancellationToken,
}

/// What the server tells of a delivery.
struct Receipt {
    attempt: u64,
    stored_at: SystemTime,
}

/// Counts a message as in hand for as long as it lives.
struct InHand<'a>(&'a AtomicUsize);

impl<'a> InHand<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) async fn work<H: Handler>(job: Job<H>) {
    let _in_hand = InHand::new(&job.bus.in_progress);
    let (meter, _slot, began) = (Arc::clone(&job.meter), job.meter.slot(), Instant::now());
    let trace = Trace::from_headers(job.message.headers.as_ref());
    let span = info_span!(
        "event",
        subject = %job.message.subject,
        request_id = trace.request_id.as_ref().map_or("", |id| id.as_str()),
    );
    let abort = job.abort.clone();
    // Not only the handling: what a panic leaves unsettled would be held until the server wonders.
    let traced = meter.processing(&job.message.subject, trace.traceparent.as_deref());
    let processed = AssertUnwindSafe(process(&job, trace).instrument(traced)).catch_unwind();
    let settlement = async {
        tokio::select! {
            settlement = processed => settlement.unwrap_or_else(|_| {
                error!("the handler panicked");
                meter.ended(Outcome::Panicked);
                Settlement::HandBack(REST)
            }),
            () = abort.cancelled() => {
                meter.ended(Outcome::Aborted);
                Settlement::HandBack(Duration::ZERO)
            }
            never = keep_in_hand(&job) => never,
        }
    }
    .instrument(span)
    .await;
    settle(&job.message, settlement).await;
    meter.took(began.elapsed());
}

/// Reports progress for as long as the work goes on.
async fn keep_in_hand<H>(job: &Job<H>) -> Settlement {
    loop {
        tokio::time::sleep(job.progress_every).await;
        // Kept for a later connection, it would say nothing then.
        if job.bus.is_connected() {
            progress(&job.message).await;
        }
    }
}

async fn process<H: Handler>(job: &Job<H>, trace: Trace) -> Settlement {
    let receipt = match receipt(&job.message) {
        Ok(receipt) => receipt,
        Err(error) => {
            error!(%error, "a message without a delivery's particulars");
            return Settlement::HandBack(REST);
        }
    };
    job.meter.delivered(receipt.attempt, receipt.stored_at.elapsed().unwrap_or_default());
    let event = match H::Event::decode(&job.message.payload) {
        Ok(event) => event,
        Err(error) => return bury(job, &receipt, &trace, Vec::new(), &error.into()).await,
    };
    // What is done for the key inside would be unseen by who asked for the one outside.
    if key(&job.message) != event.key() {
        let cause = Cause::new("the submission in the message is not that of its subject");
        return bury(job, &receipt, &trace, Vec::new(), &cause).await;
    }
    // Decided at receipt, so that a message that kills its handler is counted, too.
    let is_too_often = job.max_deliveries.is_some_and(|max| receipt.attempt > max);
    if is_too_often && job.handler.counts_deliveries(&event) {
        let cause = Cause::new(&format!("delivered {} times without an end", receipt.attempt - 1));
        let last_words = job.handler.give_up(&event, &cause);
        return bury(job, &receipt, &trace, last_words, &cause).await;
    }
    if let Some(announcement) = job.handler.announcement(&event) {
        match publish(job, &trace, &announcement).await {
            Ok(Stored::Superseded) => return done(job),
            Ok(Stored::New | Stored::Already) => {}
            Err(_) => return unpublished(job),
        }
    }
    let delivery = Delivery { event, trace, attempt: receipt.attempt, stored_at: receipt.stored_at };
    let outputs = match job.handler.handle(&delivery).await {
        Ok(outputs) => outputs,
        Err(Failure::Retry { after, cause }) => {
            warn!(%cause, attempt = receipt.attempt, retry_in_ms = after.as_millis(), "will be tried again");
            job.meter.ended(Outcome::Retry);
            return Settlement::HandBack(after);
        }
        Err(Failure::Later(after)) => {
            debug!(later_ms = after.as_millis(), "not yet");
            job.meter.ended(Outcome::Later);
            return Settlement::HandBack(after);
        }
        Err(Failure::Reject(cause)) => {
            let last_words = job.handler.give_up(&delivery.event, &cause);
            return bury(job, &receipt, &delivery.trace, last_words, &cause).await;
        }
    };
    match publish_all(job, &delivery.trace, &outputs).await {
        Ok(()) => done(job),
        Err(Unstored::Unable) => unpublished(job),
        // Another try would come to the same.
        Err(Unstored::TooLarge) => {
            let cause = Cause::new("what came of it is larger than NATS takes");
            let last_words = job.handler.give_up(&delivery.event, &cause);
            bury(job, &receipt, &delivery.trace, last_words, &cause).await
        }
    }
}

/// The dead letter first: once the submission has its `error`, nothing else would tell what became of it.
async fn bury<H: Handler>(
    job: &Job<H>,
    receipt: &Receipt,
    trace: &Trace,
    last_words: Vec<Outgoing>,
    cause: &Cause,
) -> Settlement {
    error!(%cause, attempts = receipt.attempt, "given up");
    let since_epoch = receipt.stored_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let subject = job.message.subject.as_str();
    let mut dead = DeadLetter {
        key: key(&job.message).to_owned(),
        stage: H::STAGE,
        cause: cause.in_full(),
        attempts: receipt.attempt,
        stored_at_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
        subject: subject.to_owned(),
        payload: job.message.payload.to_vec(),
    };
    let mut letter = publish(job, trace, &Outgoing::from(&dead)).await;
    if let Err(Unstored::TooLarge) = letter {
        // A part of it could be taken for the whole.
        dead.cause = format!("{cause} (its {} bytes do not fit into a dead letter)", dead.payload.len());
        dead.payload = Vec::new();
        letter = publish(job, trace, &Outgoing::from(&dead)).await;
    }
    if letter.is_err() || publish_all(job, trace, &last_words).await.is_err() {
        return unpublished(job);
    }
    job.meter.ended(Outcome::DeadLetter);
    Settlement::Ack
}

fn done<H>(job: &Job<H>) -> Settlement {
    job.meter.ended(Outcome::Done);
    Settlement::Ack
}

fn unpublished<H>(job: &Job<H>) -> Settlement {
    job.meter.ended(Outcome::Unpublished);
    Settlement::HandBack(REST)
}

/// Why an output is not stored, after all tries.
enum Unstored {
    /// It never will be.
    TooLarge,
    /// The server refuses it, or does not answer.
    Unable,
}

async fn publish_all<H>(job: &Job<H>, trace: &Trace, outputs: &[Outgoing]) -> Result<(), Unstored> {
    for output in outputs {
        publish(job, trace, output).await?;
    }
    Ok(())
}

/// Publishes until the server has answered; an error where it does not, for minutes.
async fn publish<H>(job: &Job<H>, trace: &Trace, output: &Outgoing) -> Result<Stored, Unstored> {
    for attempt in 1..=PUBLISH_TRIES {
        let error = match job.bus.publish(output, trace, PATIENCE).await {
            Ok(stored) => return Ok(stored),
            Err(error @ (PublishError::TooLarge | PublishError::Refused(_))) => {
                let unstored = match error {
                    PublishError::TooLarge => Unstored::TooLarge,
                    _ => Unstored::Unable,
                };
                error!(cause = %Cause::from(error), to = output.subject, "cannot be published");
                return Err(unstored);
            }
            Err(error) => error,
        };
        warn!(cause = %Cause::from(error), attempt, to = output.subject, "cannot publish yet");
        tokio::time::sleep(REPUBLISH.delay(attempt, rand::random())).await;
    }
    Err(Unstored::Unable)
}

/// What follows the event in the message's subject.
fn key(message: &Message) -> &str {
    topology::event_and_key(&message.subject).map_or("", |(_, key)| key)
}

fn receipt(message: &Message) -> Result<Receipt, async_nats::Error> {
    let info = message.info()?;
    let nanos = u64::try_from(info.published.unix_timestamp_nanos())?;
    Ok(Receipt {
        attempt: u64::try_from(info.delivered)?,
        stored_at: SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos),
    })
}
