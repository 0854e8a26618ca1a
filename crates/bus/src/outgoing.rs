//! A message on its way out: where to, under which condition, and what goes along with it.

use async_nats::HeaderMap;
use async_nats::header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID};
use bytes::Bytes;
use gavel_domain::event::{DeadLetter, Expired, Judged, Queued, Ready, Rejudged, Reported, Running};
use gavel_domain::{RequestId, catalogue};
use gavel_proto::WireEvent;
use gavel_telemetry::trace::traceparent;

use crate::topology;

/// The client has no name for this one yet: the subject that an expectation is about, if not the message's own.
const EXPECTED_LAST_SUBJECT_SEQUENCE_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
const REQUEST_ID: &str = "Gavel-Request-Id";
const SCHEMA: &str = "Gavel-Schema";
const TRACEPARENT: &str = "traceparent";

/// When the server may store a message. The server decides, so no race between instances matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Its subject is still empty.
    Once,
    /// Its subject and this other one are still empty.
    OnceWhileEmpty(String),
    /// No message with this id was stored in the stream's duplicate window.
    UniqueId(String),
}

/// What follows a submission through every message about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The id of the request that brought it.
    pub request_id: Option<RequestId>,
    /// The W3C trace context of whoever sent it, as sent.
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

/// A message to be published.
#[derive(Clone)]
pub struct Outgoing {
    pub(crate) subject: String,
    pub(crate) schema: &'static str,
    pub(crate) payload: Bytes,
    pub(crate) condition: Condition,
    /// Where it is a verdict: its language and status, to be counted once it is stored.
    pub(crate) verdict: Option<[&'static str; 2]>,
}

impl Outgoing {
    pub(crate) fn headers(&self, trace: &Trace) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(SCHEMA, self.schema);
        if let Some(id) = &trace.request_id {
            headers.insert(REQUEST_ID, id.as_str());
        }
        if let Some(parent) = traceparent().or_else(|| trace.traceparent.clone()) {
            headers.insert(TRACEPARENT, parent.as_str());
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

    fn event<E: WireEvent>(event: &E, condition: Condition) -> Self {
        Self {
            subject: topology::subject(E::NAME, event.key()),
            schema: E::SCHEMA,
            payload: event.encode(),
            condition,
            verdict: None,
        }
    }
}

/// Events that are stored once for a generation of a submission, whoever publishes them.
macro_rules! stored_once {
    ($($event:ty),*) => {$(
        impl From<&$event> for Outgoing {
            fn from(event: &$event) -> Self {
                Self::event(event, Condition::Once)
            }
        }
    )*};
}
stored_once!(Queued, Ready, Expired, Reported, Rejudged);

impl From<&Judged> for Outgoing {
    fn from(event: &Judged) -> Self {
        let verdict = [catalogue::metric_label(event.submission.language), event.verdict.status.as_str()];
        Self { verdict: Some(verdict), ..Self::event(event, Condition::Once) }
    }
}

impl From<&Running> for Outgoing {
    /// Nothing begins once there is a verdict, so that every `running` comes before it in the stream.
    fn from(event: &Running) -> Self {
        let judged = topology::subject(Judged::NAME, event.key());
        Self::event(event, Condition::OnceWhileEmpty(judged))
    }
}

impl From<&DeadLetter> for Outgoing {
    /// A submission can die at several stages; the id drops only the repeats of one death.
    fn from(event: &DeadLetter) -> Self {
        let id = format!("{}/{}/{}", event.stage.as_str(), event.subject, event.stored_at_ms);
        Self::event(event, Condition::UniqueId(id))
    }
}
