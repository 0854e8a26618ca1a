//! The work on one message, from its delivery to its settlement.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use gavel_proto::WireEvent as _;
use tracing::{Instrument as _, debug, error, info_span, warn};

use super::dead_letter::dead_letter;
use super::meter::Outcome;
use super::task::{
    DeliveryInfo, PublishFailure, RETRY_DELAY, Work, info, key, publish, publish_all, unpublished,
};
use crate::handler::{Cause, Delivery, Failure, Handler};
use crate::outgoing::{Outgoing, Trace};
use crate::publish::Stored;
use crate::settle::{Settlement, progress, settle};

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
    // On the heap: together with what it awaits it has kilobytes, which each wrapper around it and each spawn would copy.
    let process = Box::pin(process(&work, trace));
    let processed = AssertUnwindSafe(process.instrument(traced)).catch_unwind();
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
    work.meter.delivered(info.attempt, info.age());
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
        let cause = Cause::interrupted(H::STAGE, info.attempt - 1);
        let verdict_events = work.handler.give_up(&event, &cause);
        return dead_letter(work, &info, &trace, verdict_events, &cause).await;
    }
    let DeliveryInfo { attempt, stored_at, .. } = info;
    let delivery = Delivery { event, trace, attempt, stored_at, consumer: work.consumer };
    if let Some(started_event) = work.handler.started_event(&delivery.event) {
        match publish(work, &delivery.trace, &started_event).await {
            Ok(Stored::Superseded) => return done(work),
            Ok(Stored::New | Stored::Already) => {}
            Err(failure) => return not_published(work, &info, &delivery, failure).await,
        }
    }
    let (handled, retry_outcome) = handle(work, &delivery).await;
    match handled {
        Ok(outputs) => match publish_all(work, &delivery.trace, &outputs).await {
            Ok(()) => done(work),
            Err(failure) => not_published(work, &info, &delivery, failure).await,
        },
        Err(failure) => failed(work, &info, &delivery, failure, retry_outcome).await,
    }
}

/// Ends or hands back a message that failed.
async fn failed<H: Handler>(
    work: &Work<H>,
    info: &DeliveryInfo,
    delivery: &Delivery<H::Event>,
    failure: Failure,
    retry_outcome: Outcome,
) -> Settlement {
    match last(work, delivery, failure) {
        Failure::Retry { after, cause } => {
            warn!(%cause, attempt = info.attempt, retry_in_ms = after.as_millis(), "event failed: retrying");
            work.meter.ended(retry_outcome);
            Settlement::HandBack(after)
        }
        Failure::Defer(after) => {
            debug!(later_ms = after.as_millis(), "event deferred");
            work.meter.ended(Outcome::Deferred);
            Settlement::HandBack(after)
        }
        Failure::Reject(cause) => reject(work, info, delivery, &cause).await,
    }
}

/// Lets the handler do its work, and returns its result and the outcome if the message is to be delivered again. A panic is
/// a failure of this delivery.
async fn handle<H: Handler>(
    work: &Work<H>,
    delivery: &Delivery<H::Event>,
) -> (Result<Vec<Outgoing>, Failure>, Outcome) {
    // It may also panic before it returns a future.
    let handled = async { Box::pin(work.handler.handle(delivery)).await };
    if let Ok(handled) = AssertUnwindSafe(handled).catch_unwind().await {
        return (handled, Outcome::Retry);
    }
    error!("the handler panicked");
    let failure = Failure::Retry { after: RETRY_DELAY, cause: Cause::panicked(H::STAGE) };
    (Err(failure), Outcome::Panicked)
}

/// Ends a message that failed permanently.
async fn reject<H: Handler>(
    work: &Work<H>,
    info: &DeliveryInfo,
    delivery: &Delivery<H::Event>,
    cause: &Cause,
) -> Settlement {
    let verdict_events = work.handler.give_up(&delivery.event, cause);
    dead_letter(work, info, &delivery.trace, verdict_events, cause).await
}

/// Ends or hands back a message whose events could not be published.
async fn not_published<H: Handler>(
    work: &Work<H>,
    info: &DeliveryInfo,
    delivery: &Delivery<H::Event>,
    failure: PublishFailure,
) -> Settlement {
    match failure {
        PublishFailure::Unable(_) if !is_last(work, delivery) => unpublished(work),
        // Another attempt would fail in the same way, or there is none.
        PublishFailure::Unable(cause) | PublishFailure::TooLarge(cause) => {
            reject(work, info, delivery, &cause).await
        }
        PublishFailure::Later(after) => {
            failed(work, info, delivery, Failure::Defer(after), Outcome::Deferred).await
        }
    }
}

/// Whether the deliveries of the message are used up.
fn is_last<H: Handler>(work: &Work<H>, delivery: &Delivery<H::Event>) -> bool {
    work.max_deliveries.is_some_and(|max| delivery.attempt >= max)
        && work.handler.counts_deliveries(&delivery.event)
}

/// Returns the failure of a delivery, which is final if there is no other one: the deliveries are used up, or the server
/// would soon delete the message.
fn last<H: Handler>(work: &Work<H>, delivery: &Delivery<H::Event>, failure: Failure) -> Failure {
    let expires = |after| work.max_age.is_some_and(|max| delivery.age() + after > max);
    match failure {
        Failure::Retry { cause, .. } if is_last(work, delivery) => Failure::Reject(cause),
        Failure::Retry { after, cause } if expires(after) => Failure::Reject(cause),
        Failure::Defer(after) if expires(after) => {
            Failure::Reject(Cause::expiring(H::STAGE, work.consumer.stream()))
        }
        failure => failure,
    }
}

fn done<H>(work: &Work<H>) -> Settlement {
    work.meter.ended(Outcome::Done);
    Settlement::Ack
}
