//! How much work waits at a consumer, as its leader knows.

use std::time::{Duration, SystemTime};

use async_nats::jetstream::consumer::{Info, PullConsumer};
use async_nats::jetstream::stream::DirectGetErrorKind;
use tokio::time::timeout;

use crate::bus::Bus;
use crate::topology::Durable;

/// How long the server may take for each request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);

/// The work that waits at a consumer. What the server does not answer in time is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Events that were never delivered.
    pub pending: Option<u64>,
    /// Events that are in progress or wait for redelivery.
    pub in_progress: Option<u64>,
    /// The age of the oldest unacknowledged event; zero if there is none.
    pub oldest_age: Option<Duration>,
}

impl Bus {
    /// Asks the server how much work waits at a consumer.
    pub async fn queue_depth(&self, durable: Durable) -> QueueDepth {
        let Some(info) = self.answer(self.consumer_info(durable)).await else {
            return QueueDepth::default();
        };
        let oldest_age = if info.num_pending == 0 && info.num_ack_pending == 0 {
            Some(Duration::ZERO)
        } else {
            self.answer(self.oldest_age(durable, &info)).await
        };
        QueueDepth {
            pending: Some(info.num_pending),
            in_progress: Some(info.num_ack_pending as u64),
            oldest_age,
        }
    }

    async fn answer<T>(&self, request: impl Future<Output = Result<T, async_nats::Error>>) -> Option<T> {
        if self.is_connected() { timeout(REQUEST_TIMEOUT, request).await.ok()?.ok() } else { None }
    }

    async fn consumer_info(&self, durable: Durable) -> Result<Info, async_nats::Error> {
        let stream = self.context.get_stream_no_info(durable.stream().name()).await?;
        let consumer: PullConsumer = stream.get_consumer(durable.name()).await?;
        Ok(consumer.cached_info().clone())
    }

    /// Everything up to the ack floor is acknowledged, so the oldest event is the next one that passes the filter.
    async fn oldest_age(&self, durable: Durable, info: &Info) -> Result<Duration, async_nats::Error> {
        let stream = self.context.get_stream_no_info(durable.stream().name()).await?;
        let next = info.ack_floor.stream_sequence + 1;
        match stream.direct_get_next_for_subject(durable.filter(), Some(next)).await {
            Ok(message) => Ok(SystemTime::from(message.time).elapsed().unwrap_or_default()),
            // It was acknowledged meanwhile.
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(Duration::ZERO),
            Err(error) => Err(error.into()),
        }
    }
}
