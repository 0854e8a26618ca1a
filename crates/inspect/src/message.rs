//! A message as it was received or stored.

use std::time::SystemTime;

use async_nats::{HeaderMap, HeaderValue};
use bytes::Bytes;
use gavel_bus::topology;
use gavel_proto::{DecodeError, Event};

/// The headers that the server adds to a message when it is read.
const ADDED_BY_SERVER: [&str; 7] = [
    "Nats-Stream",
    "Nats-Subject",
    "Nats-Sequence",
    "Nats-Time-Stamp",
    "Nats-Num-Pending",
    "Nats-Last-Sequence",
    "Nats-UpTo-Sequence",
];

/// A message as it was received or stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// When the server stored it, or when it was received.
    pub at: SystemTime,
    /// Its subject. Anyone may have published it, so its tokens may be anything.
    pub subject: String,
    /// Its headers, without those that the server adds when it is read.
    pub headers: Vec<(String, String)>,
    /// Its payload.
    pub payload: Bytes,
    /// Its sequence number in its stream; `None` if it was received live.
    pub sequence: Option<u64>,
}

impl Message {
    /// Returns the value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(each, _)| each.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the event's name, the second token of the subject `submission.<event>.<key>`.
    #[must_use]
    pub fn event_name(&self) -> Option<&str> {
        topology::event_and_key(&self.subject).map(|(event, _)| event)
    }

    /// Decodes the event.
    ///
    /// # Errors
    /// Returns an error if the subject is not that of an event, or if the payload is not valid for it.
    pub fn event(&self) -> Result<Event, DecodeError> {
        Event::decode(&self.subject, &self.payload)
    }

    /// A message from a live subscription.
    pub(crate) fn received(message: async_nats::Message) -> Self {
        Self {
            at: SystemTime::now(),
            subject: message.subject.to_string(),
            headers: sent_headers(message.headers.as_ref()),
            payload: message.payload,
            sequence: None,
        }
    }

    /// A message from the answer to a direct get; `None` if the server's headers are missing.
    pub(crate) fn stored(headers: Option<&HeaderMap>, payload: Bytes) -> Option<Self> {
        let header = |name| headers?.get(name).map(HeaderValue::as_str);
        Some(Self {
            at: humantime::parse_rfc3339(header("Nats-Time-Stamp")?).ok()?,
            subject: header("Nats-Subject")?.to_owned(),
            headers: sent_headers(headers),
            payload,
            sequence: Some(header("Nats-Sequence")?.parse().ok()?),
        })
    }
}

fn sent_headers(headers: Option<&HeaderMap>) -> Vec<(String, String)> {
    let all = headers.into_iter().flat_map(HeaderMap::iter);
    let pairs = all.flat_map(|(name, values)| {
        values.iter().map(move |value| (name.to_string(), value.as_str().to_owned()))
    });
    let mut sent: Vec<_> = pairs.filter(|(name, _)| !ADDED_BY_SERVER.contains(&name.as_str())).collect();
    sent.sort();
    sent
}
