//! A message to publish: its subject, the condition for storing it, and its headers.

use std::sync::Arc;
use std::time::Duration;

use async_nats::header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID};
use async_nats::{HeaderMap, HeaderName};
use bytes::Bytes;
use gavel_domain::RequestId;
use gavel_domain::event::{DeadLetter, Expired, Judged, Queued, Ready, Rejudged, Reported, Running, Waiting};
use gavel_proto::WireEvent;
use gavel_telemetry::trace::traceparent;

use crate::topology;

/// The subject that an expected sequence is about, if not the message's own. The client has no constant for it.
const EXPECTED_LAST_SUBJECT_SEQUENCE_SUBJECT: HeaderName =
    HeaderName::from_static("Nats-Expected-Last-Subject-Sequence-Subject");
const REQUEST_ID: &str = "Gavel-Request-Id";
const SCHEMA: &str = "Gavel-Schema";
const TRACEPARENT: &str = "traceparent";

/// When the server may store a message. The server decides, so no race between instances matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// If its subject is still empty.
    Once,
    /// If its subject and this other one are still empty.
    OnceWhileEmpty(String),
    /// If no message with this id was stored within the stream's duplicate window.
    UniqueId(String),
}

/// The request id and the trace context, which every message about a submission carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The id of the request that submitted it.
    pub request_id: Option<RequestId>,
    /// The W3C trace context of the sender, as received.
    pub traceparent: Option<String>,
}

impl Trace {
    pub(crate) fn from_headers(headers: Option<&HeaderMap>) -> Self {
        Self::from_lookup(|name| headers.and_then(|map| map.get(name)).map(async_nats::HeaderValue::as_str))
    }

    /// Reads it from headers, which `get` looks up by name.
    pub fn from_lookup<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Self {
        Self {
            request_id: get(REQUEST_ID).and_then(RequestId::new),
            traceparent: get(TRACEPARENT).map(str::to_owned),
        }
    }
}

/// A message to publish.
#[derive(Clone)]
pub struct Outgoing {
    pub(crate) subject: String,
    pub(crate) schema: &'static str,
    pub(crate) payload: Bytes,
    pub(crate) condition: Condition,
    /// Called once the server has stored the message, and not if it was stored before.
    pub(crate) on_stored: Option<Arc<dyn Fn() + Send + Sync>>,
    /// What to do if the stream is full. Otherwise the consumer loop waits until it is not.
    pub(crate) if_full: Option<IfFull>,
}

/// What the consumer loop does if a stream is full.
#[derive(Clone)]
pub(crate) enum IfFull {
    /// Publishes this message instead.
    Publish(Box<Outgoing>),
    /// Hands the message in progress back, to be delivered again after this time.
    HandBack(Duration),
}

impl Outgoing {
    pub(crate) fn new(subject: String, schema: &'static str, payload: Bytes, condition: Condition) -> Self {
        Self { subject, schema, payload, condition, on_stored: None, if_full: None }
    }

    /// Calls `action` once the server has stored the message, and not if it was stored before.
    #[must_use]
    pub fn on_stored(self, action: impl Fn() + Send + Sync + 'static) -> Self {
        Self { on_stored: Some(Arc::new(action)), ..self }
    }

    /// Publishes `other` instead if the stream is full.
    #[must_use]
    pub fn or_if_full(self, other: Self) -> Self {
        Self { if_full: Some(IfFull::Publish(Box::new(other))), ..self }
    }

    /// Hands the message in progress back if the stream is full, to be delivered again `after` this time.
    #[must_use]
    pub fn or_later_if_full(self, after: Duration) -> Self {
        Self { if_full: Some(IfFull::HandBack(after)), ..self }
    }

    pub(crate) fn headers(&self, trace: &Trace) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(SCHEMA), self.schema);
        if let Some(id) = &trace.request_id {
            headers.insert(HeaderName::from_static(REQUEST_ID), id.as_str());
        }
        if let Some(parent) = traceparent().or_else(|| trace.traceparent.clone()) {
            headers.insert(HeaderName::from_static(TRACEPARENT), parent.as_str());
        }
        match &self.condition {
            Condition::Once => headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0"),
            Condition::OnceWhileEmpty(other) => {
                headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
                headers.insert(EXPECTED_LAST_SUBJECT_SEQUENCE_SUBJECT, other.as_str());
            }
            Condition::UniqueId(id) => headers.insert(NATS_MESSAGE_ID, id.as_str()),
        }
        headers
    }

    /// The message of a dead letter. Its subject names this message and no other.
    pub(crate) fn dead_message(subject: String, payload: Vec<u8>) -> Self {
        Self::new(subject, "gavel.v1.DeadMessage", payload.into(), Condition::Once)
    }

    fn event<E: WireEvent>(event: &E, condition: Condition) -> Self {
        Self::new(topology::subject(E::NAME, event.key()), E::SCHEMA, event.encode(), condition)
    }
}

/// Events that are stored once per generation of a submission, even if several instances publish them.
macro_rules! stored_once {
    ($($event:ty),*) => {$(
        impl From<&$event> for Outgoing {
            fn from(event: &$event) -> Self {
                Self::event(event, Condition::Once)
            }
        }
    )*};
}
stored_once!(Queued, Ready, Expired, Judged, Reported, Rejudged);

impl From<&Waiting> for Outgoing {
    fn from(event: &Waiting) -> Self {
        let subject = topology::waiting(event.ready.submission.language, event.key());
        Self { subject, ..Self::event(event, Condition::Once) }
    }
}

impl From<&Running> for Outgoing {
    /// Not stored once there is a verdict, so that every `running` event precedes the verdict in the stream.
    fn from(event: &Running) -> Self {
        let judged = topology::subject(Judged::NAME, event.key());
        Self::event(event, Condition::OnceWhileEmpty(judged))
    }
}

impl From<&DeadLetter> for Outgoing {
    /// A submission can fail at several stages; the id rejects only duplicates of one failure.
    fn from(event: &DeadLetter) -> Self {
        let id = format!("{}/{}/{}", event.stage.as_str(), event.subject, event.stored_at_ms);
        Self::event(event, Condition::UniqueId(id))
    }
}
