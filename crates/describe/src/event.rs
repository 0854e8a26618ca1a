//! An event as one flat object: the base of all output formats, filters and saved files.
//!
//! Events hold no hidden test data. Source code is shown as its length and digest unless `--show-source` is given.

#![expect(
    missing_docs,
    reason = "the fields are those of the JSON output, with names that speak for themselves"
)]

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::text::escape_control;

mod read;
mod summary;

pub use read::Reading;

/// An event. Its JSON leaves out the fields that it does not have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    pub time: Timestamp,
    /// The name of the event, or `undecodable`.
    pub stage: String,
    /// The id of the submission.
    pub id: String,
    /// The generation of the submission.
    pub generation: u32,
    pub subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Tests passed before the first failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u32>,
    /// Why it failed, ended as an error, became a dead letter, or cannot be decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// From acceptance to the verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// When it was ready for a judge. From the verdict, because the ready event itself is deleted by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Timestamp>,
    /// The compiler or interpreter that ran it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toolchain: Option<String>,
    /// The instance that published it, or the operator who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The judge that lacks the language and handed it on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handed_on_by: Option<String>,
    /// How often the message that led to this event was delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u64>,
    /// The stage at which it failed permanently.
    #[serde(skip_serializing_if = "Option::is_none", rename = "gaveUp")]
    pub failed_stage: Option<String>,
    /// The stage that a new generation starts from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The time since the previous event of the submission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_ms: Option<u64>,
    /// How often this event was seen, if more than once. The server does not store the repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The size of the payload.
    pub bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The output of the program or the compiler; only with `--show-source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<Test>,
    /// The last callback attempts of the instance for it.
    #[serde(skip_serializing_if = "Vec::is_empty", rename = "calls")]
    pub callback_attempts: Vec<Attempt>,
    /// The first bytes of a payload that cannot be decoded, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
}

/// The result of one test case.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Test {
    #[serde(rename = "ending")]
    pub outcome: String,
    pub cpu_us: u64,
    pub wall_us: u64,
    pub memory_bytes: u64,
}

/// A callback attempt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Attempt {
    /// The kind of callback: `running` or `result`.
    #[serde(rename = "of")]
    pub kind: String,
    pub at: Timestamp,
    pub took_ms: u64,
    /// The HTTP status; `None` if Convex did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Attempt {
    /// Returns the answer: `503`, or the problem.
    #[must_use]
    pub fn answer(&self) -> String {
        match (self.status, &self.problem) {
            (Some(status), _) => status.to_string(),
            (None, problem) => escape_control(problem.as_deref().unwrap_or("no answer")),
        }
    }
}

/// The stage of an event that cannot be decoded.
pub const UNDECODABLE: &str = "undecodable";

impl Event {
    /// Whether it is about a fault of the system: an error, a dead letter, or an undecodable message.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self.stage.as_str(), "dead" | UNDECODABLE) || self.status.as_deref() == Some("error")
    }

    /// The submission and generation that it belongs to.
    #[must_use]
    pub fn key(&self) -> (String, u32) {
        (self.id.clone(), self.generation)
    }
}

/// A point in time. In JSON: RFC 3339 in UTC, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(pub SystemTime);

impl Timestamp {
    /// The time since an earlier one; zero if clocks disagree.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.duration_since(earlier.0).unwrap_or_default()
    }

    /// Formats the time of day, in UTC.
    #[must_use]
    pub fn time_of_day(self) -> String {
        String::from(self).get(11..23).unwrap_or_default().to_owned()
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self(SystemTime::UNIX_EPOCH)
    }
}

impl From<Timestamp> for String {
    fn from(Timestamp(time): Timestamp) -> Self {
        crate::time::format_time(time)
    }
}

impl TryFrom<String> for Timestamp {
    type Error = humantime::TimestampError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        humantime::parse_rfc3339(&text).map(Self)
    }
}
