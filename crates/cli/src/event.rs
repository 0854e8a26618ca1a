//! An event as people and scripts see it: one flat object, which every format, filter and file is made of.
//!
//! Hidden test data is in no event. Sources are, and are shown as a length and a digest unless asked for.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::output::escape_control;

mod read;
mod words;

pub(crate) use read::Reading;

/// An event. What it does not have is left out of its JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Event {
    pub(crate) time: Moment,
    /// The event's word, or `undecodable`.
    pub(crate) stage: String,
    /// The submission.
    pub(crate) id: String,
    /// Which run of the submission.
    pub(crate) generation: u32,
    pub(crate) subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) question: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) language: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<String>,
    /// Tests passed before the first failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) passed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<u32>,
    /// Why it failed, is an error, is dead, or cannot be decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// From acceptance to the verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duration_ms: Option<u64>,
    /// When it was ready for a judge, as the verdict tells: the ready event itself is gone by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ready_at: Option<Moment>,
    /// What compiled and ran it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) toolchain: Option<String>,
    /// Who did it, or asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<String>,
    /// How many times the message before this event was delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attempts: Option<u64>,
    /// The stage that gave it up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gave_up: Option<String>,
    /// The stage that a new generation goes on from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    /// Since the submission's previous event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gap_ms: Option<u64>,
    /// How many times this event was seen, where more than once: a repeat, which the server does not store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
    /// The payload's size.
    pub(crate) bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    /// What the program or the compiler said; only where sources are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tests: Vec<Test>,
    /// The last calls to Convex that the instance has made for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) calls: Vec<Call>,
    /// How the payload begins, in hexadecimal, where it cannot be decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) head: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) headers: Vec<(String, String)>,
}

/// How one test went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Test {
    pub(crate) ending: String,
    pub(crate) cpu_us: u64,
    pub(crate) wall_us: u64,
    pub(crate) memory_bytes: u64,
}

/// A call to Convex.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Call {
    /// What was told: `running` or `result`.
    pub(crate) of: String,
    pub(crate) at: Moment,
    pub(crate) took_ms: u64,
    /// HTTP; nothing where there was no answer of Convex's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

impl Call {
    /// What came of it: `503`, or what was wrong.
    pub(crate) fn answer(&self) -> String {
        match (self.status, &self.problem) {
            (Some(status), _) => status.to_string(),
            (None, problem) => escape_control(problem.as_deref().unwrap_or("no answer")),
        }
    }
}

/// The word of an event that cannot be decoded.
pub(crate) const UNDECODABLE: &str = "undecodable";

impl Event {
    /// Whether something is wrong on our side.
    pub(crate) fn is_error(&self) -> bool {
        matches!(self.stage.as_str(), "dead" | UNDECODABLE) || self.status.as_deref() == Some("error")
    }

    /// The run of a submission that it belongs to.
    pub(crate) fn key(&self) -> (String, u32) {
        (self.id.clone(), self.generation)
    }
}

/// A point in time; RFC 3339 in UTC, to the millisecond, in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Moment(pub(crate) SystemTime);

impl Moment {
    /// Since an earlier one; nothing where clocks disagree.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.duration_since(earlier.0).unwrap_or_default()
    }

    /// The time of day, in UTC.
    pub(crate) fn clock(self) -> String {
        String::from(self).get(11..23).unwrap_or_default().to_owned()
    }
}

impl Default for Moment {
    fn default() -> Self {
        Self(SystemTime::UNIX_EPOCH)
    }
}

impl From<Moment> for String {
    fn from(Moment(time): Moment) -> Self {
        crate::time::format_time(time)
    }
}

impl TryFrom<String> for Moment {
    type Error = humantime::TimestampError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        humantime::parse_rfc3339(&text).map(Self)
    }
}
