//! How much there is of everything: what waits, what is in hand, how full the streams are.

use std::time::{Duration, SystemTime};

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::stream::Config as StreamConfig;
use async_nats::jetstream::{ErrorCode, consumer, response::Response, stream};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Look, LookError};
use crate::topology::{Durable, Stream, TopologySettings};

/// What a stage has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageCount {
    /// Whose work it is.
    pub durable: Durable,
    /// Messages that were not given to anybody yet.
    pub waiting: u64,
    /// Messages that somebody has, or that wait to be tried again.
    pub in_hand: u64,
    /// Those of them that were given out more than once.
    pub redelivered: u64,
    /// Messages that workers have asked for.
    pub asked: u64,
    /// How many messages were given out, repeats included, since the consumer was made.
    pub given: u64,
    /// The highest sequence number that was given out.
    pub given_to: u64,
    /// All up to this sequence number is done.
    pub done_to: u64,
}

/// How full a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamCount {
    /// Which one.
    pub stream: Stream,
    /// Messages in it.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The bytes that it may take; nothing where that is not limited.
    pub max_bytes: Option<u64>,
}

/// All of it, at one moment.
#[derive(Clone, Debug)]
pub struct Census {
    /// The stages in the order of a submission's life.
    pub stages: Vec<StageCount>,
    /// The streams.
    pub streams: Vec<StreamCount>,
    /// The server's clock less ours, in milliseconds, as far as the way there and back tells.
    pub skew_ms: i64,
}

/// Where a message is in a stage's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nobody has it yet, and so many are before it.
    Ahead(u64),
    /// Somebody has it, or it waits to be tried again.
    InHand,
}

impl StageCount {
    /// Where the message of this sequence number is, which is not done.
    #[must_use]
    pub fn place(&self, sequence: u64) -> Place {
        match sequence.checked_sub(self.given_to) {
            None | Some(0) => Place::InHand,
            Some(ahead) => Place::Ahead((ahead - 1).min(self.waiting.saturating_sub(1))),
        }
    }
}

/// How a stream or consumer is not as the topology says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The stream or consumer.
    pub name: &'static str,
    /// Whether it is a stream.
    pub is_stream: bool,
    /// Whether it is not there at all.
    pub is_missing: bool,
    /// What is wrong with it.
    pub what: String,
}

/// A stream's answer, with the server's clock, which the client's own type leaves out.
#[derive(Deserialize)]
struct StreamAnswer {
    #[serde(flatten)]
    info: stream::Info,
    #[serde(default)]
    ts: String,
}

impl Look {
    /// Counts everything.
    ///
    /// # Errors
    /// [`LookError`].
    pub async fn census(&self) -> Result<Census, LookError> {
        let (mut stages, mut streams) = (Vec::new(), Vec::new());
        let mut skew_ms = 0;
        for stream in Stream::ALL {
            let (answer, skew) = self.stream(stream).await?;
            skew_ms = skew;
            streams.push(StreamCount {
                stream,
                messages: answer.state.messages,
                bytes: answer.state.bytes,
                max_bytes: u64::try_from(answer.config.max_bytes).ok().filter(|&bytes| bytes > 0),
            });
        }
        for durable in Durable::ALL {
            stages.push(self.stage(durable).await?);
        }
        Ok(Census { stages, streams, skew_ms })
    }

    /// Counts the work of one stage.
    ///
    /// # Errors
    /// [`LookError`].
    pub async fn stage(&self, durable: Durable) -> Result<StageCount, LookError> {
        let info = self.consumer(durable).await?;
        Ok(StageCount {
            durable,
            waiting: info.num_pending,
            in_hand: info.num_ack_pending as u64,
            redelivered: info.num_redelivered as u64,
            asked: info.num_waiting as u64,
            given: info.delivered.consumer_sequence,
            given_to: info.delivered.stream_sequence,
            done_to: info.ack_floor.stream_sequence,
        })
    }

    /// When the oldest message was stored that this stage has not done, in hand or not.
    ///
    /// # Errors
    /// [`LookError`].
    pub async fn oldest(&self, stage: &StageCount) -> Result<Option<SystemTime>, LookError> {
        if stage.waiting + stage.in_hand == 0 {
            return Ok(None);
        }
        let durable = stage.durable;
        let first = self.first(durable.stream(), durable.filter(), stage.done_to + 1).await?;
        Ok(first.map(|message| message.at))
    }

    /// In what the streams and consumers are not as the topology has them. What an operator chooses, such as
    /// sizes and replicas, is no fault.
    ///
    /// # Errors
    /// [`LookError`] where that cannot be seen; what is missing is a fault, not an error.
    pub async fn faults(&self) -> Result<Vec<Fault>, LookError> {
        let settings = TopologySettings::default();
        let mut faults = Vec::new();
        let mut note = |name, is_stream, what: Option<String>| {
            let is_missing = what.is_none();
            let what = what.unwrap_or_else(|| "is missing".to_owned());
            faults.push(Fault { name, is_stream, is_missing, what });
        };
        for stream in Stream::ALL {
            match self.stream(stream).await {
                Ok((found, _)) => {
                    for what in stream_faults(&stream.config(&settings), &found.config) {
                        note(stream.name(), true, Some(what));
                    }
                }
                Err(LookError::NoStream(name)) => note(name, true, None),
                Err(error) => return Err(error),
            }
        }
        for durable in Durable::ALL {
            match self.consumer(durable).await {
                Ok(found) => {
                    for what in consumer_faults(&durable.config(&settings), &found.config) {
                        note(durable.name(), false, Some(what));
                    }
                }
                // Said already.
                Err(LookError::NoStream(_)) => {}
                Err(LookError::NoConsumer(name)) => note(name, false, None),
                Err(error) => return Err(error),
            }
        }
        Ok(faults)
    }

    async fn stream(&self, stream: Stream) -> Result<(stream::Info, i64), LookError> {
        let asked = SystemTime::now();
        let answer: StreamAnswer = self.ask(&format!("STREAM.INFO.{}", stream.name()), stream, None).await?;
        let way = asked.elapsed().unwrap_or_default();
        let skew = humantime::parse_rfc3339(&answer.ts).map_or(0, |ts| skew_ms(ts, asked, way));
        Ok((answer.info, skew))
    }

    async fn consumer(&self, durable: Durable) -> Result<consumer::Info, LookError> {
        let stream = durable.stream();
        let subject = format!("CONSUMER.INFO.{}.{}", stream.name(), durable.name());
        self.ask(&subject, stream, Some(durable)).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        subject: &str,
        stream: Stream,
        durable: Option<Durable>,
    ) -> Result<T, LookError> {
        let full = format!("$JS.API.{subject}");
        let answer = match self.client.request(full.clone(), bytes::Bytes::new()).await {
            Ok(answer) => answer,
            Err(error) if error.kind() == async_nats::RequestErrorKind::NoResponders => {
                return Err(LookError::NoJetStream);
            }
            Err(_) => return Err(self.unanswered(&full)),
        };
        match serde_json::from_slice(&answer.payload) {
            Ok(Response::Ok(value)) => Ok(value),
            Ok(Response::Err { error }) => Err(match (error.error_code(), durable) {
                (ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT, _) => {
                    LookError::NoJetStream
                }
                (ErrorCode::STREAM_NOT_FOUND, _) => LookError::NoStream(stream.name()),
                (ErrorCode::CONSUMER_NOT_FOUND, Some(durable)) => LookError::NoConsumer(durable.name()),
                _ => LookError::Odd(error.to_string()),
            }),
            Err(error) => Err(LookError::Odd(format!("what cannot be read: {error}"))),
        }
    }
}

/// How far the server's clock is ahead of ours, where its word was given at some time on the way.
fn skew_ms(server: SystemTime, asked: SystemTime, way: Duration) -> i64 {
    let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    match (server.duration_since(asked), asked.duration_since(server)) {
        (Ok(ahead), _) => ms(ahead.saturating_sub(way)),
        (_, Ok(behind)) => -ms(behind),
        (Err(_), Err(_)) => 0,
    }
}

fn stream_faults(wanted: &StreamConfig, found: &StreamConfig) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |fits: bool, what: &str| {
        if !fits {
            faults.push(what.to_owned());
        }
    };
    let has = |subject: &String| found.subjects.contains(subject);
    check(wanted.subjects.iter().all(has), "does not take all of its subjects");
    check(wanted.retention == found.retention, "keeps messages in another way (retention)");
    check(wanted.discard == found.discard, "forgets old messages when it is full (discard)");
    check(
        wanted.max_messages_per_subject == found.max_messages_per_subject
            && wanted.discard_new_per_subject == found.discard_new_per_subject,
        "is not write-once as it should be (max_msgs_per_subject, discard_new_per_subject)",
    );
    check(found.allow_direct, "does not allow direct reads (allow_direct)");
    check(
        wanted.max_age == found.max_age || found.max_age.is_zero() || found.max_age > wanted.max_age,
        "forgets messages sooner than it should (max_age)",
    );
    faults
}

fn consumer_faults(wanted: &pull::Config, found: &consumer::Config) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |fits: bool, what: &str| {
        if !fits {
            faults.push(what.to_owned());
        }
    };
    check(wanted.ack_policy == found.ack_policy, "is not acknowledged one by one (ack_policy)");
    check(wanted.filter_subject == found.filter_subject, "takes other subjects (filter_subject)");
    check(found.max_deliver <= 0, "gives up messages by itself (max_deliver)");
    check(found.deliver_subject.is_none(), "pushes instead of being asked (deliver_subject)");
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_there_and_back_is_no_skew() {
        let second = Duration::from_secs(1);
        let asked = SystemTime::UNIX_EPOCH + second * 100;
        assert_eq!(skew_ms(asked + second / 2, asked, second), 0);
        assert_eq!(skew_ms(asked + second * 3, asked, second), 2_000);
        assert_eq!(skew_ms(asked - second, asked, second), -1_000);
    }

    #[test]
    fn a_message_is_behind_those_that_were_not_given_out() {
        let stage = StageCount {
            durable: Durable::Judge,
            waiting: 10,
            in_hand: 2,
            redelivered: 0,
            asked: 0,
            given: 50,
            given_to: 40,
            done_to: 38,
        };
        assert_eq!(stage.place(39), Place::InHand);
        assert_eq!(stage.place(40), Place::InHand);
        assert_eq!(stage.place(41), Place::Ahead(0));
        assert_eq!(stage.place(50), Place::Ahead(9));
        // Sequence numbers of what is gone count for nobody.
        assert_eq!(stage.place(90), Place::Ahead(9));
    }
}
