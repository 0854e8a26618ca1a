//! What was called: a bounded list of calls, newest kept.

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
    time::{Instant, SystemTime},
};

use axum::http::HeaderMap;
use serde_json::Value;

use crate::endpoint::Endpoint;

/// How an answered call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// When the answer was ready to be written.
    pub at: Instant,
    /// The same by the wall clock.
    pub wall: SystemTime,
    /// The status sent; none where the connection was cut instead.
    pub status: Option<u16>,
    /// Why it was not a plain success: the hidden text of a 500, or the fault that was injected.
    pub reason: Option<String>,
}

/// One call of one of the six endpoints.
#[derive(Debug)]
pub struct Call {
    /// Counts all calls from 1, in the order of their arrival.
    pub number: u64,
    /// What was called.
    pub endpoint: Endpoint,
    /// The submission's or the question's id; none where the body holds no usable one.
    pub id: Option<String>,
    /// When the whole request had been read.
    pub received_at: Instant,
    /// The same by the wall clock.
    pub received_wall: SystemTime,
    /// `authorization`, `webhook-*`, `x-request-id`, `traceparent`, `content-type`: name in lower case, value.
    pub headers: Vec<(String, String)>,
    /// The body; a string of it where it is not JSON.
    pub body: Arc<Value>,
    pub(crate) is_json: bool,
    /// What it takes to keep it: the body's length and the headers'.
    pub(crate) bytes: usize,
    pub(crate) applied: OnceLock<Instant>,
    pub(crate) answer: OnceLock<Answer>,
}

impl Call {
    /// When it changed a submission, if it did.
    #[must_use]
    pub fn applied_at(&self) -> Option<Instant> {
        self.applied.get().copied()
    }

    /// How it was answered; none while it hangs or is held.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        self.answer.get()
    }

    /// The status answered; none while there is none, and where the connection was cut.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.answer().and_then(|answer| answer.status)
    }

    /// The value of a recorded header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Picks the headers worth recording.
pub(crate) fn headers_that_matter(headers: &HeaderMap) -> Vec<(String, String)> {
    const NAMES: [&str; 4] = ["authorization", "x-request-id", "traceparent", "content-type"];
    let matters = |name: &str| NAMES.contains(&name) || name.starts_with("webhook-");
    let kept = headers.iter().filter(|(name, _)| matters(name.as_str()));
    kept.map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    })
    .collect()
}

/// The newest calls, within a number and a total of body bytes.
#[derive(Debug, Default)]
pub(crate) struct CallLog {
    calls: VecDeque<Arc<Call>>,
    bytes: usize,
}

impl CallLog {
    /// Adds one and drops the oldest ones that no longer fit.
    pub(crate) fn push(&mut self, call: Arc<Call>, max_calls: usize, max_bytes: usize) {
        self.bytes += call.bytes;
        self.calls.push_back(call);
        while self.calls.len() > max_calls || self.bytes > max_bytes {
            let Some(oldest) = self.calls.pop_front() else { break };
            self.bytes -= oldest.bytes;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Call>> {
        self.calls.iter()
    }
}
