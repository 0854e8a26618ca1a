//! Statistics of all streams and consumers at one moment.

use std::time::{Duration, SystemTime};

use async_nats::RequestErrorKind;
use async_nats::jetstream::{ErrorCode, consumer, response::Response, stream};
use bytes::Bytes;
use gavel_bus::WaitingLanguage;
use gavel_bus::topology::{Durable, Stream};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::inspector::{InspectError, Inspector};

/// The work of one consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerStats {
    /// The consumer.
    pub durable: Durable,
    /// Messages that were never delivered.
    pub waiting: u64,
    /// Messages that are delivered and not acknowledged: in progress, or waiting for redelivery.
    pub in_progress: u64,
    /// Those of them that were delivered more than once.
    pub redelivered: u64,
    /// Pull requests that wait at the server.
    pub pull_requests: u64,
    /// Deliveries since the consumer was created, redeliveries included.
    pub deliveries: u64,
    /// The highest sequence number that was delivered.
    pub last_delivered: u64,
    /// Every message up to this sequence number is acknowledged.
    pub ack_floor: u64,
}

/// The size of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStats {
    /// The stream.
    pub stream: Stream,
    /// The messages in it.
    pub messages: u64,
    /// Their size.
    pub bytes: u64,
    /// The size limit; `None` if the stream is unlimited.
    pub max_bytes: Option<u64>,
}

/// The statistics of all streams and consumers.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The consumers, in the order in which a submission passes them.
    pub consumers: Vec<ConsumerStats>,
    /// The streams; optional ones may be missing.
    pub streams: Vec<StreamStats>,
    /// The server's clock minus this machine's, in milliseconds, as far as the round trip allows to tell.
    pub skew_ms: i64,
}

/// The position of an unacknowledged message in a consumer's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuePosition {
    /// It was never delivered, and this many messages are ahead of it.
    Waiting {
        /// How many.
        ahead: u64,
    },
    /// It is delivered, or waits for redelivery.
    InProgress,
}

impl ConsumerStats {
    /// The position of the message with this sequence number, which is not acknowledged.
    #[must_use]
    pub fn position(&self, sequence: u64) -> QueuePosition {
        match sequence.checked_sub(self.last_delivered) {
            None | Some(0) => QueuePosition::InProgress,
            Some(behind) => {
                QueuePosition::Waiting { ahead: (behind - 1).min(self.waiting.saturating_sub(1)) }
            }
        }
    }
}

/// The answer to `STREAM.INFO`, with the server's clock, which the client's type leaves out.
#[derive(Deserialize)]
struct StreamAnswer {
    #[serde(flatten)]
    info: stream::Info,
    #[serde(default)]
    ts: String,
}

impl Inspector {
    /// Returns the statistics of all streams and consumers.
    ///
    /// # Errors
    /// Returns an error if one of them that the pipeline needs is missing, or if one cannot be read.
    pub async fn snapshot(&self) -> Result<Snapshot, InspectError> {
        let (mut consumers, mut streams) = (Vec::new(), Vec::new());
        let mut skew_ms = 0;
        for stream in Stream::ALL {
            let (info, skew) = match self.stream_info(stream).await {
                Err(InspectError::NoStream(_)) if stream.effect_if_missing().is_some() => continue,
                found => found?,
            };
            skew_ms = skew;
            streams.push(StreamStats {
                stream,
                messages: info.state.messages,
                bytes: info.state.bytes,
                max_bytes: u64::try_from(info.config.max_bytes).ok().filter(|&bytes| bytes > 0),
            });
        }
        for durable in Durable::ALL {
            consumers.push(self.consumer_stats(durable).await?);
        }
        Ok(Snapshot { consumers, streams, skew_ms })
    }

    /// Returns the languages that submissions wait for, by id.
    ///
    /// # Errors
    /// Returns an error if the stream is missing or cannot be read.
    pub async fn waiting_languages(&self) -> Result<Vec<WaitingLanguage>, InspectError> {
        // Says why, if the other requests have no answer.
        self.stream_info(Stream::Waiting).await?;
        gavel_bus::waiting_languages(&self.jetstream()).await.map_err(|_| InspectError::NoAnswer)
    }

    /// Returns the statistics of one consumer.
    ///
    /// # Errors
    /// Returns an error if it is missing or cannot be read.
    pub async fn consumer_stats(&self, durable: Durable) -> Result<ConsumerStats, InspectError> {
        let info = self.consumer_info(durable).await?;
        Ok(ConsumerStats {
            durable,
            waiting: info.num_pending,
            in_progress: info.num_ack_pending as u64,
            redelivered: info.num_redelivered as u64,
            pull_requests: info.num_waiting as u64,
            deliveries: info.delivered.consumer_sequence,
            last_delivered: info.delivered.stream_sequence,
            ack_floor: info.ack_floor.stream_sequence,
        })
    }

    /// Returns when the consumer's oldest unacknowledged message was stored; `None` if there is none.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read.
    pub async fn oldest_unacknowledged(
        &self,
        stats: &ConsumerStats,
    ) -> Result<Option<SystemTime>, InspectError> {
        if stats.waiting + stats.in_progress == 0 {
            return Ok(None);
        }
        let durable = stats.durable;
        let first = self.first(durable.stream(), durable.filter(), stats.ack_floor + 1).await?;
        Ok(first.map(|message| message.at))
    }

    /// Returns what the server knows of a stream, and the skew of its clock in milliseconds.
    pub(crate) async fn stream_info(&self, stream: Stream) -> Result<(stream::Info, i64), InspectError> {
        let sent_at = SystemTime::now();
        let subject = format!("STREAM.INFO.{}", stream.name());
        let answer: StreamAnswer = self.request_info(&subject, stream, None).await?;
        let round_trip = sent_at.elapsed().unwrap_or_default();
        let skew = humantime::parse_rfc3339(&answer.ts).map_or(0, |ts| skew_ms(ts, sent_at, round_trip));
        Ok((answer.info, skew))
    }

    /// Returns what the server knows of a consumer.
    pub(crate) async fn consumer_info(&self, durable: Durable) -> Result<consumer::Info, InspectError> {
        let stream = durable.stream();
        let subject = format!("CONSUMER.INFO.{}.{}", stream.name(), durable.name());
        self.request_info(&subject, stream, Some(durable)).await
    }

    /// Asks for what the server knows of a stream or consumer.
    pub(crate) async fn request_info<T: DeserializeOwned>(
        &self,
        subject: &str,
        stream: Stream,
        durable: Option<Durable>,
    ) -> Result<T, InspectError> {
        let subject = format!("$JS.API.{subject}");
        let answer = match self.client().request(subject.clone(), Bytes::new()).await {
            Ok(answer) => answer,
            Err(error) if error.kind() == RequestErrorKind::NoResponders => {
                return Err(InspectError::NoJetStream);
            }
            Err(_) => return Err(self.unanswered(&subject)),
        };
        match serde_json::from_slice(&answer.payload) {
            Ok(Response::Ok(value)) => Ok(value),
            Ok(Response::Err { error }) => Err(match (error.error_code(), durable) {
                (ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT, _) => {
                    InspectError::NoJetStream
                }
                (ErrorCode::STREAM_NOT_FOUND, _) => InspectError::NoStream(stream.name()),
                (ErrorCode::CONSUMER_NOT_FOUND, Some(durable)) => InspectError::NoConsumer(durable.name()),
                _ => InspectError::UnexpectedAnswer(error.to_string()),
            }),
            Err(error) => Err(InspectError::UnexpectedAnswer(format!("invalid JSON: {error}"))),
        }
    }
}

/// How far the server's clock is ahead, if it was read at some moment of the round trip.
fn skew_ms(server: SystemTime, sent_at: SystemTime, round_trip: Duration) -> i64 {
    let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    match (server.duration_since(sent_at), sent_at.duration_since(server)) {
        (Ok(ahead), _) => ms(ahead.saturating_sub(round_trip)),
        (_, Ok(behind)) => -ms(behind),
        (Err(_), Err(_)) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_is_not_clock_skew() {
        let second = Duration::from_secs(1);
        let sent_at = SystemTime::UNIX_EPOCH + second * 100;
        assert_eq!(skew_ms(sent_at + second / 2, sent_at, second), 0);
        assert_eq!(skew_ms(sent_at + second * 3, sent_at, second), 2_000);
        assert_eq!(skew_ms(sent_at - second, sent_at, second), -1_000);
    }

    #[test]
    fn queue_position_counts_undelivered_messages_ahead() {
        let stats = ConsumerStats {
            durable: Durable::Judge,
            waiting: 10,
            in_progress: 2,
            redelivered: 0,
            pull_requests: 0,
            deliveries: 50,
            last_delivered: 40,
            ack_floor: 38,
        };
        assert_eq!(stats.position(39), QueuePosition::InProgress);
        assert_eq!(stats.position(40), QueuePosition::InProgress);
        assert_eq!(stats.position(41), QueuePosition::Waiting { ahead: 0 });
        assert_eq!(stats.position(50), QueuePosition::Waiting { ahead: 9 });
        // Sequence numbers of deleted messages do not count.
        assert_eq!(stats.position(90), QueuePosition::Waiting { ahead: 9 });
    }
}
