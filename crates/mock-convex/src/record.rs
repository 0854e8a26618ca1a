//! The recorded calls: a bounded list that drops the oldest first.

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
    time::{Instant, SystemTime},
};

use axum::http::HeaderMap;
use serde_json::Value;

use crate::endpoint::Endpoint;

/// How a call was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// When the answer was ready.
    pub at: Instant,
    /// The same time by the wall clock.
    pub wall: SystemTime,
    /// The status sent, or `None` if the connection was reset instead.
    pub status: Option<u16>,
    /// Why it was not a plain success: the hidden text of a 500, or the injected fault.
    pub reason: Option<String>,
}

/// A call that mock Convex received at one of the six endpoints.
#[derive(Debug)]
pub struct ReceivedCall {
    /// The number of the call, from 1, in the order of arrival.
    pub number: u64,
    /// The endpoint called.
    pub endpoint: Endpoint,
    /// The id of the submission or question, or `None` if the body has no valid one.
    pub id: Option<String>,
    /// When the whole request was read.
    pub received_at: Instant,
    /// The same time by the wall clock.
    pub received_wall: SystemTime,
    /// `authorization`, `webhook-*`, `x-request-id`, `traceparent`, `content-type`: lower-case name and value.
    pub headers: Vec<(String, String)>,
    /// The body, as a string if it is not JSON.
    pub body: Arc<Value>,
    pub(crate) is_json: bool,
    /// Its size in the record: the length of the body and the headers.
    pub(crate) bytes: usize,
    pub(crate) applied: OnceLock<Instant>,
    pub(crate) answer: OnceLock<Answer>,
}

impl ReceivedCall {
    /// When it changed a submission, or `None` if it did not.
    #[must_use]
    pub fn applied_at(&self) -> Option<Instant> {
        self.applied.get().copied()
    }

    /// How it was answered, or `None` while it hangs or is held.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        self.answer.get()
    }

    /// The status of the answer, or `None` if there is no answer yet or the connection was reset.
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

/// Selects the headers to record.
pub(crate) fn recorded_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    const NAMES: [&str; 4] = ["authorization", "x-request-id", "traceparent", "content-type"];
    let matters = |name: &str| NAMES.contains(&name) || name.starts_with("webhook-");
    let kept = headers.iter().filter(|(name, _)| matters(name.as_str()));
    kept.map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    })
    .collect()
}

/// The newest calls, up to a number of calls and of bytes.
#[derive(Debug, Default)]
pub(crate) struct CallLog {
    calls: VecDeque<Arc<ReceivedCall>>,
    bytes: usize,
}

impl CallLog {
    /// Adds a call and drops the oldest ones that exceed a limit.
    pub(crate) fn push(&mut self, call: Arc<ReceivedCall>, max_calls: usize, max_bytes: usize) {
        self.bytes += call.bytes;
        self.calls.push_back(call);
        while self.calls.len() > max_calls || self.bytes > max_bytes {
            let Some(oldest) = self.calls.pop_front() else { break };
            self.bytes -= oldest.bytes;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<ReceivedCall>> {
        self.calls.iter()
    }
}
