//! What happens to a submission, stage by stage: the events that travel on `submission.<event>.<key>`.

use std::time::SystemTime;

use crate::time::epoch_ms;
use crate::{Status, Submission, Verdict};

/// The address of a question's test cases in the store of bundles.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BundleKey {
    /// The day on which it was stored, in days since the Unix epoch. It is part of the address so that a
    /// bundle is stored anew each day, and so cannot expire before an event that names it.
    pub day: u32,
    /// SHA-256 of the bundle's bytes, in lower-case hexadecimal.
    pub digest: String,
}

/// The ingress has taken a submission.
#[derive(Clone, PartialEq, Eq)]
pub struct Queued {
    /// What was submitted.
    pub submission: Submission,
    /// The program, as sent.
    pub source: String,
}

/// The test cases are there, and the submission waits for a judge.
#[derive(Clone, PartialEq, Eq)]
pub struct Ready {
    /// What was submitted.
    pub submission: Submission,
    /// The program, as sent.
    pub source: String,
    /// Where the question and its test cases are.
    pub bundle: BundleKey,
    /// How often they were fetched anew because they were not where they should have been.
    pub renewals: u32,
}

/// A judge did not find the test cases of a ready submission: they have expired, or were removed.
#[derive(Clone, PartialEq, Eq)]
pub struct Expired {
    /// The event that can be of no use any more.
    pub ready: Ready,
}

/// A judge has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// What was submitted.
    pub submission: Submission,
    /// The judge that works on it.
    pub instance: String,
}

/// The verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What was submitted.
    pub submission: Submission,
    /// What it came to.
    pub verdict: Verdict,
    /// From the ingress's acceptance to the verdict, in milliseconds.
    pub duration_ms: u64,
    /// The instance that made the verdict.
    pub instance: String,
    /// How it came to a judge; nothing where none was needed.
    pub assignment: Option<Assignment>,
}

/// How a submission came to the judge that made its verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// When its test cases were there, in milliseconds since the Unix epoch by the server's clock.
    pub ready_at_ms: u64,
    /// How many times it was delivered to a judge, this time included.
    pub attempts: u64,
}

impl Judged {
    /// A verdict that is made now.
    #[must_use]
    pub fn new(submission: Submission, verdict: Verdict, now: SystemTime, instance: &str) -> Self {
        // Two machines' clocks may differ by more than the work took.
        let duration_ms = epoch_ms(now).saturating_sub(submission.accepted_at_ms);
        Self { submission, verdict, duration_ms, instance: instance.to_owned(), assignment: None }
    }
}

/// Convex has taken the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// What was submitted.
    pub submission: Submission,
    /// The verdict's final word.
    pub status: Status,
    /// How many times the result was delivered to the reporter, this time included.
    pub attempts: u64,
    /// The instance that reported it.
    pub instance: String,
    /// The last calls that this instance has made for it, in their order.
    pub callback_attempts: Vec<CallbackAttempt>,
}

/// A call to Convex, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackAttempt {
    /// What was told.
    pub of: CallbackKind,
    /// When it was made, in milliseconds since the Unix epoch by the caller's clock.
    pub at_ms: u64,
    /// How long it took.
    pub took_ms: u64,
    /// The HTTP status, where Convex has answered.
    pub status: Option<u16>,
    /// What was wrong, where it has not.
    pub problem: Option<String>,
}

/// What Convex is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackKind {
    /// That a judge has begun.
    Running,
    /// The verdict.
    Result,
}

/// A new generation of a submission has been allotted; the event of `from` that it begins with follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejudged {
    /// What was submitted, in its new generation.
    pub submission: Submission,
    /// The stage that it goes on from: its input is the new generation's first event.
    pub from: Stage,
    /// Who has asked for it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// The stage at which a message could not be processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Between queued and ready.
    Fetcher,
    /// Between ready and judged.
    Judge,
    /// Between judged and reported.
    Reporter,
}

impl Stage {
    /// The stage's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fetcher => "fetcher",
            Self::Judge => "judge",
            Self::Reporter => "reporter",
        }
    }
}

/// A message that could not be processed (invariant 6): all that is needed to look at it and to send it again.
#[derive(Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// What follows the event in the original subject. Not necessarily the key of a submission: anybody may have
    /// sent the message.
    pub key: String,
    /// Who gave it up.
    pub stage: Stage,
    /// Why, in one plain sentence.
    pub cause: String,
    /// How many times it was delivered.
    pub attempts: u64,
    /// When the original message was stored, in milliseconds since the Unix epoch.
    pub stored_at_ms: u64,
    /// The original message's subject.
    pub subject: String,
    /// The original message's payload.
    pub payload: Vec<u8>,
}
