//! The events of the pipeline, which travel on `submission.<event>.<key>`.

use std::time::SystemTime;

use crate::time::epoch_ms;
use crate::{Status, Submission, Verdict};

/// The key of a question's test cases in the bundle store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BundleKey {
    /// The day on which the bundle was stored, in days since the Unix epoch. It is part of the key so that a bundle is
    /// stored again each day and cannot expire before an event that refers to it.
    pub day: u32,
    /// SHA-256 of the bundle's bytes, in lower-case hexadecimal.
    pub digest: String,
}

/// The ingress accepted a submission.
#[derive(Clone, PartialEq, Eq)]
pub struct Queued {
    /// The submission.
    pub submission: Submission,
    /// The source of the program, as sent.
    pub source: String,
}

/// The test cases are stored, and the submission waits for a judge.
#[derive(Clone, PartialEq, Eq)]
pub struct Ready {
    /// The submission.
    pub submission: Submission,
    /// The source of the program, as sent.
    pub source: String,
    /// The bundle with the question and its test cases.
    pub bundle: BundleKey,
    /// How many times the test cases were fetched again because the bundle was missing.
    pub renewals: u32,
    /// The judge that handed it on. `None` if no judge has.
    pub handed_on: Option<HandedOn>,
}

/// A judge that lacks the language of a ready submission made it wait for one that serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedOn {
    /// The instance name of the judge.
    pub by: String,
    /// When the ready submission was stored, in milliseconds since the Unix epoch by the server's clock.
    pub ready_at_ms: u64,
}

/// A ready submission waits for a judge that serves its language.
#[derive(Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The event that was handed on.
    pub ready: Ready,
}

/// The test cases of a ready submission have expired or were removed. The fetcher fetches them again.
#[derive(Clone, PartialEq, Eq)]
pub struct Expired {
    /// The event whose bundle is missing.
    pub ready: Ready,
}

/// A judge started to work on a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// The submission.
    pub submission: Submission,
    /// The instance name of the judge.
    pub instance: String,
}

/// A submission has its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The submission.
    pub submission: Submission,
    /// The verdict.
    pub verdict: Verdict,
    /// The time from acceptance by the ingress to the verdict, in milliseconds.
    pub duration_ms: u64,
    /// The instance that made the verdict.
    pub instance: String,
    /// The delivery to the judge. `None` if no judge was involved.
    pub assignment: Option<Assignment>,
}

/// The delivery of a ready submission to the judge that made its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// When the ready submission was stored, in milliseconds since the Unix epoch by the server's clock.
    pub ready_at_ms: u64,
    /// The number of deliveries to judges, including this one. Deliveries before it was handed on do not count.
    pub attempts: u64,
    /// The judge that lacks the language and handed it on. `None` if it did not wait for its language.
    pub handed_on_by: Option<String>,
}

impl Judged {
    /// Creates the event of a verdict made at `now`.
    #[must_use]
    pub fn new(submission: Submission, verdict: Verdict, now: SystemTime, instance: &str) -> Self {
        // The clocks of two machines may differ by more than the duration.
        let duration_ms = epoch_ms(now).saturating_sub(submission.accepted_at_ms);
        Self { submission, verdict, duration_ms, instance: instance.to_owned(), assignment: None }
    }
}

/// Convex accepted the result callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// The submission.
    pub submission: Submission,
    /// The status of the verdict.
    pub status: Status,
    /// The number of deliveries of the verdict to reporters, including this one.
    pub attempts: u64,
    /// The instance that reported it.
    pub instance: String,
    /// The last callback attempts of this instance for the submission, in order.
    pub callback_attempts: Vec<CallbackAttempt>,
}

/// An attempt to make a callback to Convex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackAttempt {
    /// Which callback it was.
    pub kind: CallbackKind,
    /// When the call started, in milliseconds since the Unix epoch by the reporter's clock.
    pub at_ms: u64,
    /// How long the call took, in milliseconds.
    pub took_ms: u64,
    /// The HTTP status code. `None` if Convex did not answer.
    pub status: Option<u16>,
    /// Why the call failed. `None` if Convex answered.
    pub problem: Option<String>,
}

/// The two callbacks to Convex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackKind {
    /// A judge started to work on the submission.
    Running,
    /// The submission has its verdict.
    Result,
}

/// A new generation of a submission was allocated. The input event of `from` for that generation follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejudged {
    /// The submission in its new generation.
    pub submission: Submission,
    /// The stage at which the new generation starts.
    pub from: Stage,
    /// Who requested the rejudging.
    pub by: String,
    /// Why it was requested.
    pub reason: String,
    /// The run that created it; `None` if it was requested for this submission.
    pub run: Option<RejudgeRun>,
}

/// A run: many submissions that are judged again for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejudgeRun {
    /// When it began, in milliseconds since the Unix epoch by the clock of the machine that began it.
    pub began_at_ms: u64,
    /// Its submissions were queued after this time, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// The sequence number of the last queued event that it covers. What was queued later came after the run began, whatever
    /// the clocks of the machines show.
    pub last_queued: u64,
}

impl RejudgeRun {
    /// How far back it reaches, in milliseconds.
    #[must_use]
    pub fn age_ms(&self) -> u64 {
        self.began_at_ms.saturating_sub(self.since_ms)
    }
}

/// A stage of the pipeline that consumes events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// From queued to ready.
    Fetcher,
    /// From ready to judged.
    Judge,
    /// From judged to reported.
    Reporter,
}

impl Stage {
    /// The name of the stage in events and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fetcher => "fetcher",
            Self::Judge => "judge",
            Self::Reporter => "reporter",
        }
    }
}

/// A message that could not be processed (invariant 6), with everything needed to inspect it and to send it again.
#[derive(Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The part of the original subject after the event. It need not be a valid key: any client of NATS can send a
    /// message.
    pub key: String,
    /// The stage that could not process the message.
    pub stage: Stage,
    /// Why it could not be processed, in one sentence.
    pub cause: String,
    /// The number of deliveries.
    pub attempts: u64,
    /// When the original message was stored, in milliseconds since the Unix epoch.
    pub stored_at_ms: u64,
    /// The subject of the original message.
    pub subject: String,
    /// The payload of the original message. Empty if it is kept apart, or too large to be kept.
    pub payload: Vec<u8>,
    /// The subject on which the original message is kept apart from the dead letter. `None` if it is not.
    pub kept_on: Option<String>,
}
