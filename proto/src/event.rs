//! One type for all events, for code that reads every subject.

use gavel_domain::event::{DeadLetter, Expired, Judged, Queued, Ready, Rejudged, Reported, Running, Waiting};

use crate::{DecodeError, WireEvent};

/// An event of a submission, whichever it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// The ingress has accepted the submission.
    Queued(Queued),
    /// The fetcher has stored the test cases.
    Ready(Ready),
    /// A judge that lacks the language has handed the submission on.
    Waiting(Waiting),
    /// The stored test cases have expired.
    Expired(Expired),
    /// A judge has started.
    Running(Running),
    /// The verdict is stored.
    Judged(Box<Judged>),
    /// Convex has acknowledged the verdict.
    Reported(Reported),
    /// A new generation was created.
    Rejudged(Rejudged),
    /// A stage failed permanently.
    DeadLetter(DeadLetter),
}

impl Event {
    /// Decodes the event of a message on `submission.<name>.…`.
    ///
    /// # Errors
    /// Returns an error if the subject is not that of an event, or if the payload is not valid for it. Whether the key in
    /// the subject matches the payload is not checked.
    pub fn decode(subject: &str, payload: &[u8]) -> Result<Self, DecodeError> {
        match subject.strip_prefix("submission.").and_then(|rest| rest.split('.').next()) {
            Some(Queued::NAME) => Queued::decode(payload).map(Self::Queued),
            Some(Ready::NAME) => Ready::decode(payload).map(Self::Ready),
            Some(Waiting::NAME) => Waiting::decode(payload).map(Self::Waiting),
            Some(Expired::NAME) => Expired::decode(payload).map(Self::Expired),
            Some(Running::NAME) => Running::decode(payload).map(Self::Running),
            Some(Judged::NAME) => Judged::decode(payload).map(Box::new).map(Self::Judged),
            Some(Reported::NAME) => Reported::decode(payload).map(Self::Reported),
            Some(Rejudged::NAME) => Rejudged::decode(payload).map(Self::Rejudged),
            Some(DeadLetter::NAME) => DeadLetter::decode(payload).map(Self::DeadLetter),
            _ => Err(DecodeError::Subject),
        }
    }

    /// The key in the event's subject.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Queued(event) => event.key(),
            Self::Ready(event) => event.key(),
            Self::Waiting(event) => event.key(),
            Self::Expired(event) => event.key(),
            Self::Running(event) => event.key(),
            Self::Judged(event) => event.key(),
            Self::Reported(event) => event.key(),
            Self::Rejudged(event) => event.key(),
            Self::DeadLetter(event) => event.key(),
        }
    }
}
