//! Publishing with confirmation: a message is stored, was stored before, or is not stored; if unknown, that is an error.

use std::time::Duration;

use async_nats::jetstream::context::{PublishError as ClientError, PublishErrorKind};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{DirectGetError, DirectGetErrorKind};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{Request, RequestError, RequestErrorKind};
use gavel_telemetry::{table, trace};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;

use crate::bus::Bus;
use crate::connection::MIN_MAX_PAYLOAD;
use crate::outgoing::{Condition, Outgoing, Trace};
use crate::refusal::{is_final, is_full, is_store_failure, server_error};
use crate::timing::REQUEST_TIMEOUT;
use crate::topology::Stream;

/// The delay before a message without an answer is sent again.
const RESEND_DELAY: Duration = Duration::from_millis(50);

/// What the server did with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is stored now.
    New,
    /// A message was stored before, and stays. It may be the same one, if an answer was lost.
    Already,
    /// The other subject of the condition is not empty; nothing was stored.
    Superseded,
}

/// Why a message is not stored, as far as known.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// There is no connection; the message was not sent.
    #[error("not connected to NATS")]
    Disconnected,
    /// The stream is full; the message was refused.
    #[error("the stream is full")]
    Full,
    /// The server cannot write to its store, for example because its disk is full; the message was refused.
    #[error("nats-server cannot store messages: {0}")]
    StoreFailed(String),
    /// The message is larger than the server accepts.
    #[error(
        "the message is larger than the max_payload of nats-server: set max_payload to at least {MIN_MAX_PAYLOAD} bytes"
    )]
    TooLarge(#[source] ClientError),
    /// There was no answer in time, or one that leaves open whether the message is stored.
    #[error("no final answer from NATS")]
    Unknown(#[source] ClientError),
    /// The server refused it for another reason, or its stream is an optional one and missing.
    #[error("NATS refused the message")]
    Refused(#[source] ClientError),
}

impl Bus {
    /// Publishes a message and waits for the server's answer. A message without an answer is sent again until `timeout`;
    /// its condition prevents that it is stored twice.
    ///
    /// # Errors
    /// Returns an error if the server refuses the message or does not answer within `timeout`. After
    /// [`PublishError::Unknown`] the message may be stored or not.
    pub async fn publish(
        &self,
        outgoing: &Outgoing,
        trace: &Trace,
        timeout: Duration,
    ) -> Result<Stored, PublishError> {
        let began = Instant::now();
        let published = async {
            let published = self.publish_until(outgoing, trace, began + timeout).await;
            trace::record_outcome(result(&published), published.is_err());
            published
        }
        .instrument(trace::producer_span(&outgoing.subject))
        .await;
        self.publish_times.record(began.elapsed());
        self.count((outgoing.schema, result(&published)));
        if let (Ok(Stored::New), Some(on_stored)) = (&published, &outgoing.on_stored) {
            on_stored();
        }
        published
    }

    fn count(&self, published: (&'static str, &'static str)) {
        let look_up = |&(schema, result): &_| table::PUBLISHED.series([self.service, schema, result]);
        self.published.get(published, look_up).increment(1);
    }

    async fn publish_until(
        &self,
        outgoing: &Outgoing,
        trace: &Trace,
        deadline: Instant,
    ) -> Result<Stored, PublishError> {
        let mut unanswered = None;
        loop {
            match Box::pin(self.publish_once(outgoing, trace, deadline)).await {
                Err(PublishError::Unknown(error)) => unanswered = Some(error),
                // Whatever happens to the second copy, the first one may be stored.
                Err(PublishError::Disconnected) if unanswered.is_some() => {}
                known => return known,
            }
            if let Some(error) = unanswered.take_if(|_| Instant::now() >= deadline) {
                return Err(PublishError::Unknown(error));
            }
            tokio::time::sleep(RESEND_DELAY).await;
        }
    }

    async fn publish_once(
        &self,
        outgoing: &Outgoing,
        trace: &Trace,
        deadline: Instant,
    ) -> Result<Stored, PublishError> {
        // While disconnected, the client would buffer the message and send it whenever it reconnects.
        if !self.is_connected() {
            return Err(PublishError::Disconnected);
        }
        let message = Request::new().payload(outgoing.payload.clone()).headers(outgoing.headers(trace));
        // The client's own timeout begins only once the message is in its queue.
        let answer = self.client.send_request(outgoing.subject.clone(), message.timeout(None));
        let stored = match timeout_at(deadline.min(Instant::now() + REQUEST_TIMEOUT), answer).await {
            Ok(Ok(answer)) => stored(&answer.payload),
            Ok(Err(error)) => Err(client_error(error)),
            Err(_) => Err(ClientError::new(PublishErrorKind::TimedOut)),
        };
        match stored {
            Ok(stored) => Ok(stored),
            Err(error) => self.refused(outgoing, error, deadline).await,
        }
    }

    async fn refused(
        &self,
        outgoing: &Outgoing,
        error: ClientError,
        deadline: Instant,
    ) -> Result<Stored, PublishError> {
        match error.kind() {
            PublishErrorKind::WrongLastSequence => match outgoing.condition {
                Condition::OnceWhileEmpty(_) => Ok(Stored::Superseded),
                Condition::Once | Condition::UniqueId(_) => Ok(Stored::Already),
            },
            PublishErrorKind::MaxPayloadExceeded => Err(PublishError::TooLarge(error)),
            // A required stream exists, or someone creates it: it has no leader at the moment.
            PublishErrorKind::StreamNotFound if is_optional(&outgoing.subject) => {
                Err(PublishError::Refused(error))
            }
            PublishErrorKind::Other => match server_error(&error) {
                Some(refusal) if is_full(refusal.error_code()) => Err(PublishError::Full),
                Some(refusal) if is_store_failure(refusal) => {
                    Err(PublishError::StoreFailed(refusal.to_string()))
                }
                // The server has one code for an occupied subject and for a full stream.
                Some(refusal) if refusal.error_code() == ErrorCode::STREAM_STORE_FAILED => {
                    match timeout_at(deadline, self.is_occupied(outgoing)).await {
                        Ok(Some(true)) => Ok(Stored::Already),
                        Ok(Some(false)) => Err(PublishError::Full),
                        Ok(None) | Err(_) => Err(PublishError::Unknown(error)),
                    }
                }
                Some(refusal) if is_final(refusal) => Err(PublishError::Refused(error)),
                _ => Err(PublishError::Unknown(error)),
            },
            _ => Err(PublishError::Unknown(error)),
        }
    }

    /// Whether a message was refused because its subject already has one; `None` if that is unknown.
    async fn is_occupied(&self, outgoing: &Outgoing) -> Option<bool> {
        // The server checks a condition on the subject itself before the limits; and a subject that many messages share
        // says nothing about this one.
        if matches!(outgoing.condition, Condition::Once | Condition::UniqueId(_)) {
            return Some(false);
        }
        let stream = Stream::of_subject(&outgoing.subject)?;
        self.last_on(stream, &outgoing.subject).await.ok().map(|message| message.is_some())
    }

    /// Returns the last message on a subject, or `None` if there is none. Any replica may answer, so the result can be out
    /// of date.
    pub(crate) async fn last_on(
        &self,
        stream: Stream,
        subject: &str,
    ) -> Result<Option<StreamMessage>, DirectGetError> {
        let stream = self
            .context
            .get_stream_no_info(stream.name())
            .await
            .expect("the names of the topology are valid");
        match stream.direct_get_last_for_subject(subject).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The server's answer to a message. The client's type for it tries to read each answer as an error first, which took a
/// twentieth of the time of a publish.
#[derive(Deserialize)]
struct Answer {
    error: Option<jetstream::Error>,
    /// The sequence number of the stored message.
    seq: Option<u64>,
    #[serde(default)]
    duplicate: bool,
}

/// Returns what an answer says.
fn stored(answer: &[u8]) -> Result<Stored, ClientError> {
    let unreadable = |error: serde_json::Error| ClientError::with_source(PublishErrorKind::Other, error);
    let answer: Answer = serde_json::from_slice(answer).map_err(unreadable)?;
    if let Some(refusal) = answer.error {
        let kind = match refusal.error_code() {
            ErrorCode::STREAM_WRONG_LAST_SEQUENCE => PublishErrorKind::WrongLastSequence,
            _ => PublishErrorKind::Other,
        };
        return Err(ClientError::with_source(kind, refusal));
    }
    match answer {
        Answer { duplicate: true, .. } => Ok(Stored::Already),
        Answer { seq: Some(_), .. } => Ok(Stored::New),
        Answer { .. } => Err(ClientError::with_source(PublishErrorKind::Other, "the answer has no sequence")),
    }
}

/// Returns the error of a message that was not sent or not answered.
fn client_error(error: RequestError) -> ClientError {
    let kind = match error.kind() {
        RequestErrorKind::NoResponders => PublishErrorKind::StreamNotFound,
        RequestErrorKind::MaxPayloadExceeded => PublishErrorKind::MaxPayloadExceeded,
        RequestErrorKind::TimedOut | RequestErrorKind::InvalidSubject | RequestErrorKind::Other => {
            PublishErrorKind::Other
        }
    };
    ClientError::with_source(kind, error)
}

/// Whether the stream that stores a subject may be missing.
fn is_optional(subject: &str) -> bool {
    Stream::of_subject(subject).is_some_and(|stream| stream.effect_if_missing().is_some())
}

/// The label for the result of a publish.
fn result(published: &Result<Stored, PublishError>) -> &'static str {
    match published {
        Ok(Stored::New) => "stored",
        Ok(Stored::Already) => "already",
        Ok(Stored::Superseded) => "superseded",
        Err(PublishError::Disconnected) => "disconnected",
        Err(PublishError::Full) => "full",
        Err(PublishError::StoreFailed(_)) => "store_failed",
        Err(PublishError::TooLarge(_)) => "too_large",
        Err(PublishError::Unknown(_)) => "unanswered",
        Err(PublishError::Refused(_)) => "refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_says_whether_the_message_is_stored() {
        let known = [
            (r#"{"stream":"S","seq":7}"#, Stored::New),
            (r#"{"stream":"S","domain":"d","seq":7,"later":"field"}"#, Stored::New),
            (r#"{"stream":"S","seq":7,"duplicate":true}"#, Stored::Already),
        ];
        for (answer, expected) in known {
            assert_eq!(stored(answer.as_bytes()).unwrap(), expected, "{answer}");
        }
        let refused = [
            (
                r#"{"error":{"code":400,"err_code":10071},"stream":"S","seq":0}"#,
                PublishErrorKind::WrongLastSequence,
            ),
            (r#"{"error":{"code":503,"err_code":10077},"stream":"S","seq":0}"#, PublishErrorKind::Other),
            (r#"{"stream":"S"}"#, PublishErrorKind::Other),
            ("{}", PublishErrorKind::Other),
            ("", PublishErrorKind::Other),
            ("+OK", PublishErrorKind::Other),
        ];
        for (answer, expected) in refused {
            let error = stored(answer.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), expected, "{answer}");
            assert_eq!(server_error(&error).is_some(), answer.contains("error"), "{answer}");
        }
    }
}
