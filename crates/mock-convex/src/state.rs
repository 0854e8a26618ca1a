//! The state of a submission as the app would store it, and calls that came too late.

use std::{fmt, time::Duration};

use serde_json::{Map, Value};

use crate::endpoint::SubmissionKind;

/// A submission's status as the learner's page shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Created, and not called about since.
    Queued,
    /// The last applied call was a running call.
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

    /// The name on the wire.
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

/// The document of a submission.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubmissionState {
    /// Its id.
    pub submission_id: String,
    /// The kind of its tables.
    pub kind: SubmissionKind,
    /// The status set by the last applied call.
    pub status: Status,
    /// The fields that results wrote, by their names on the wire, without id and status. A field that a later result
    /// omits keeps its value, as in the app.
    pub fields: Map<String, Value>,
    /// Running calls received, including rejected and unanswered ones.
    pub running_calls: u64,
    /// Result calls received, including rejected and unanswered ones.
    pub result_calls: u64,
}

/// How a running call came after a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lateness {
    /// It was received after a result had been received: the caller sent it when it should not have.
    Started,
    /// It was received in time but applied after a result had been received, because it was delayed in between. A caller
    /// cannot prevent this; it must send the result again.
    Applied,
}

/// A running call that came after a result of the same submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateRunning {
    /// The submission.
    pub submission_id: String,
    /// The running call's number, as in [`ReceivedCall::number`](crate::ReceivedCall::number).
    pub call: u64,
    /// How it was late.
    pub lateness: Lateness,
    /// How long after the first result it was late.
    pub by: Duration,
}
