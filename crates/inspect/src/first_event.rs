//! The first event of a generation, from which the pipeline does the rest.

use gavel_bus::Outgoing;
use gavel_domain::Submission;
use gavel_domain::event::{Judged, Queued, Ready, Stage};

/// The first event of a new generation, copied from an earlier one.
pub(crate) enum FirstEvent {
    Queued(Queued),
    Ready(Ready),
    Judged(Box<Judged>),
}

impl FirstEvent {
    pub(crate) fn stage(&self) -> Stage {
        match self {
            Self::Queued(_) => Stage::Fetcher,
            Self::Ready(_) => Stage::Judge,
            Self::Judged(_) => Stage::Reporter,
        }
    }

    pub(crate) fn set_submission(&mut self, submission: &Submission) {
        match self {
            Self::Queued(event) => event.submission.clone_from(submission),
            Self::Ready(event) => event.submission.clone_from(submission),
            Self::Judged(event) => event.submission.clone_from(submission),
        }
    }

    pub(crate) fn submission(&self) -> &Submission {
        match self {
            Self::Queued(event) => &event.submission,
            Self::Ready(event) => &event.submission,
            Self::Judged(event) => &event.submission,
        }
    }

    pub(crate) fn outgoing(&self) -> Outgoing {
        match self {
            Self::Queued(event) => event.into(),
            Self::Ready(event) => event.into(),
            Self::Judged(event) => (&**event).into(),
        }
    }
}
