//! How much waits at each consumer, told by one service for all.
//!
//! The figures are the server's, from each consumer's leader. The reporter asks for all of them, since whoever works on a
//! queue is not there to tell when it matters: with no judge alive, the judges' queue is what everybody looks at. Several
//! reporters tell the same; whoever adds them up counts twice.

use std::time::{Duration, SystemTime};

use async_nats::jetstream::consumer::{Info, PullConsumer};
use async_nats::jetstream::stream::DirectGetErrorKind;
use futures::future::join_all;
use gavel_telemetry::table;
use tokio::time::timeout;

use crate::bus::Bus;
use crate::topology::Durable;

/// The service that tells of the queues.
const TELLER: &str = "reporter";
/// How long the server may take to say it.
const PATIENCE: Duration = Duration::from_secs(1);

impl Bus {
    /// Brings the figures up to date that only the server knows. What it does not say is shown as not known.
    pub async fn measure(&self) {
        table::NATS_CONNECTED.set([self.service], f64::from(u8::from(self.is_connected())));
        if self.service == TELLER {
            join_all(Durable::ALL.map(|durable| self.measure_queue(durable))).await;
        }
    }

    async fn measure_queue(&self, durable: Durable) {
        let info = self.within(self.info(durable)).await;
        let (pending, in_progress) = match &info {
            Some(info) => (figure(info.num_pending), figure(info.num_ack_pending as u64)),
            None => (f64::NAN, f64::NAN),
        };
        let oldest = match &info {
            Some(info) if info.num_pending == 0 && info.num_ack_pending == 0 => Some(Duration::ZERO),
            Some(info) => self.within(self.age(durable, info)).await,
            None => None,
        };
        let labels = [self.service, durable.name()];
        table::QUEUE_PENDING.set(labels, pending);
        table::QUEUE_IN_HAND.set(labels, in_progress);
        table::QUEUE_OLDEST.set(labels, oldest.map_or(f64::NAN, |age| age.as_secs_f64()));
    }

    async fn within<T>(&self, asked: impl Future<Output = Result<T, async_nats::Error>>) -> Option<T> {
        if self.is_connected() { timeout(PATIENCE, asked).await.ok()?.ok() } else { None }
    }

    async fn info(&self, durable: Durable) -> Result<Info, async_nats::Error> {
        let stream = self.context.get_stream_no_info(durable.stream().name()).await?;
        let consumer: PullConsumer = stream.get_consumer(durable.name()).await?;
        Ok(consumer.cached_info().clone())
    }

    /// The age of the oldest event that is not done: all before the floor is, so it is the next one of ours.
    async fn age(&self, durable: Durable, info: &Info) -> Result<Duration, async_nats::Error> {
        let stream = self.context.get_stream_no_info(durable.stream().name()).await?;
        let next = info.ack_floor.stream_sequence + 1;
        match stream.direct_get_next_for_subject(durable.filter(), Some(next)).await {
            Ok(message) => Ok(SystemTime::from(message.time).elapsed().unwrap_or_default()),
            // It was done meanwhile.
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(Duration::ZERO),
            Err(error) => Err(error.into()),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn figure(count: u64) -> f64 {
    count as f64
}
