//! Watching one submission live, without touching any consumer.

use async_nats::{RequestError, SubscribeError, Subscriber};
use futures::StreamExt as _;
use gavel_domain::SubmissionId;
use gavel_domain::event::{DeadLetter, Judged, Queued, Ready, Reported, Running};
use gavel_proto::{DecodeError, WireEvent};

use crate::connect::Bus;
use crate::topology;

/// Why a submission cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The subscription was not made.
    #[error("cannot subscribe")]
    Subscribe(#[source] SubscribeError),
    /// The server did not confirm it.
    #[error("NATS does not answer")]
    Unanswered(#[source] RequestError),
}

/// An event of a submission.
pub enum Seen {
    /// It is queued.
    Queued,
    /// Its test cases are there.
    Ready,
    /// A judge has begun.
    Running(Running),
    /// The verdict.
    Judged(Box<Judged>),
    /// Convex has taken the verdict.
    Reported,
    /// A stage has given it up.
    DeadLetter(DeadLetter),
    /// Something that we cannot read, on this subject.
    Unreadable(String),
}

/// A submission's events from now on.
pub struct Watch {
    subscriber: Subscriber,
}

impl Bus {
    /// Watches a submission. What is published once this has returned is seen.
    ///
    /// # Errors
    /// [`WatchError`].
    pub async fn watch(&self, id: &SubmissionId) -> Result<Watch, WatchError> {
        let subject = topology::subject("*", id.as_str());
        let subscriber = self.client.subscribe(subject).await.map_err(WatchError::Subscribe)?;
        self.round_trip().await.map_err(WatchError::Unanswered)?;
        Ok(Watch { subscriber })
    }
}

impl Watch {
    /// The next event; nothing once the connection is closed for good.
    pub async fn next(&mut self) -> Option<Seen> {
        let message = self.subscriber.next().await?;
        let seen = match message.subject.split('.').nth(1) {
            Some(Queued::NAME) => Ok(Seen::Queued),
            Some(Ready::NAME) => Ok(Seen::Ready),
            Some(Reported::NAME) => Ok(Seen::Reported),
            Some(Running::NAME) => Running::decode(&message.payload).map(Seen::Running),
            Some(Judged::NAME) => {
                Judged::decode(&message.payload).map(|judged| Seen::Judged(Box::new(judged)))
            }
            Some(DeadLetter::NAME) => DeadLetter::decode(&message.payload).map(Seen::DeadLetter),
            _ => Err(DecodeError::Field("subject")),
        };
        Some(seen.unwrap_or_else(|_| Seen::Unreadable(message.subject.to_string())))
    }
}
