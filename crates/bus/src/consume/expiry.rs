//! Messages that no service takes, in streams that delete old messages: each ends before that happens.
//!
//! The services that should take them may be down for days, so another service watches their consumer. It takes a message
//! as they would: the server delivers it to one instance, whichever that is.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::stream::{DirectGetError, DirectGetErrorKind};
use futures::future::join_all;
use gavel_domain::SubmissionKey;
use gavel_domain::event::{Expired, Judged, Ready, Waiting};
use gavel_proto::WireEvent as _;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::meter::Meter;
use super::task::{Work, info};
use super::work::work;
use crate::bus::Bus;
use crate::handler::{Cause, Handler};
use crate::pull::{Lost, Puller};
use crate::settle::{Settlement, settle};
use crate::topology::{self, Durable, Stream, give_up_age};

/// How many messages are taken at once.
const BATCH: usize = 8;
/// The longest delay between two checks of the oldest message.
const MAX_INTERVAL: Duration = Duration::from_mins(1);

/// Watches a consumer, and lets `handler` end the messages that are older than their stream allows work to be
/// ([`give_up_age`]). Runs until it is dropped.
pub async fn end_expiring<H: Handler>(bus: Bus, durable: Durable, handler: Arc<H>) {
    let meter = Meter::without_slots(bus.service, durable.name());
    loop {
        // Unknown while the server does not answer.
        let limit = bus.max_age(durable.stream()).await.and_then(give_up_age);
        let interval = limit.map_or(MAX_INTERVAL, |limit| (limit / 20).min(MAX_INTERVAL));
        tokio::time::sleep(interval).await;
        let Some(limit) = limit else { continue };
        let is_due = |age: Option<Duration>| age.is_some_and(|age| age > limit);
        while is_due(bus.queue_depth(durable).await.oldest_age) {
            match end_some(&bus, durable, &handler, &meter, limit).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(lost) => {
                    warn!(consumer = durable.name(), cause = %Cause::from(lost), "cannot end the messages that expire");
                    break;
                }
            }
        }
    }
}

/// Ends some of the messages that are older than `limit`, and returns their number. Others are handed back.
async fn end_some<H: Handler>(
    bus: &Bus,
    durable: Durable,
    handler: &Arc<H>,
    meter: &Arc<Meter>,
    limit: Duration,
) -> Result<usize, Lost> {
    let mut puller = Puller::open(bus, durable).await?;
    puller.request_available(BATCH).await?;
    let mut works = Vec::new();
    while puller.outstanding() > 0 {
        let Some(message) = puller.next().await? else { continue };
        if !is_older(&message, limit) {
            settle(&message, Settlement::HandBack(Duration::ZERO)).await;
            continue;
        }
        let (bus, handler, meter) = (bus.clone(), Arc::clone(handler), Arc::clone(meter));
        let progress_every = puller.ack_wait() / 3;
        let abort = CancellationToken::new();
        works.push(work(Work {
            bus,
            handler,
            meter,
            consumer: durable.into(),
            message,
            max_deliveries: None,
            max_age: None,
            progress_every,
            abort,
        }));
    }
    for message in puller.close().await {
        settle(&message, Settlement::HandBack(Duration::ZERO)).await;
    }
    // All at the same time: one that waited for the others would report no progress, and be delivered again.
    Ok(join_all(works).await.len())
}

fn is_older(message: &Message, limit: Duration) -> bool {
    info(message).is_ok_and(|info| info.age() > limit)
}

impl Bus {
    /// How long a stream keeps its messages; `None` if the server does not answer.
    pub(super) async fn max_age(&self, stream: Stream) -> Option<Duration> {
        let stream = self.context.get_stream(stream.name()).await.ok()?;
        Some(stream.cached_info().config.max_age)
    }

    /// Whether a queued submission has left the queue, so that its queued event is no longer needed.
    ///
    /// # Errors
    /// Returns an error if a stream cannot be read.
    pub async fn has_left_queue(&self, key: &SubmissionKey) -> Result<bool, DirectGetError> {
        let places = [
            (Stream::Result, topology::subject(Judged::NAME, key)),
            (Stream::Ready, topology::subject(Ready::NAME, key)),
            (Stream::Ready, topology::subject(Expired::NAME, key)),
            (Stream::Waiting, topology::subject(Waiting::NAME, format_args!("*.{key}"))),
        ];
        for (stream, subject) in places {
            let stream = self.context.get_stream_no_info(stream.name()).await;
            let stream = stream.expect("the names of the topology are valid");
            match stream.direct_get_next_for_subject(subject, Some(1)).await {
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == DirectGetErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}
