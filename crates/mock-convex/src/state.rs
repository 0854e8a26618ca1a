//! What the app would hold about a submission, and what went wrong with it.

use std::{fmt, time::Duration};

use serde_json::{Map, Value};

use crate::endpoint::SubmissionKind;

/// A submission's status as the learner's page shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Made, and nothing heard of since.
    Queued,
    /// A running call was the last that was applied.
    Running,
    /// Every test passed.
    Passed,
    /// A test failed, or the program did not compile.
    Failed,
    /// It could not be judged.
    Error,
}

impl Status {
    /// Whether a learner stops waiting at this status.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Passed | Self::Failed | Self::Error)
    }

    /// The word used on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A submission's document at one moment.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubmissionState {
    /// Its id.
    pub submission_id: String,
    /// The tables it lives in.
    pub kind: SubmissionKind,
    /// What the last applied call made of it.
    pub status: Status,
    /// Everything the results wrote, under the wire's names, without id and status. A field that a later
    /// result leaves out keeps its value, as in the app.
    pub fields: Map<String, Value>,
    /// Running calls received, refused and unanswered ones included.
    pub running_calls: u64,
    /// Result calls received, refused and unanswered ones included.
    pub result_calls: u64,
}

/// How a running call came after a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Late {
    /// It was received after a result had been received: the caller sent it when it should not have.
    Started,
    /// It was received in time but applied after a result had been received, because something between held it
    /// up. No caller can prevent this alone; it must send the result again.
    Applied,
}

/// A running call that came after a result of the same submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backwards {
    /// The submission.
    pub submission_id: String,
    /// The running call's number, as in [`Call::number`](crate::Call::number).
    pub call: u64,
    /// In which way it was late.
    pub late: Late,
    /// How long after the first result.
    pub by: Duration,
}
