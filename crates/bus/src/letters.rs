//! Dead letters, for people: looking at them and removing them.

use std::time::SystemTime;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{DeleteMessageError, DeleteMessageErrorKind};
use gavel_domain::event::{DeadLetter, Expired, Judged, Queued, Ready, Running};
use gavel_domain::{SubmissionId, SubmissionKey};
use gavel_proto::WireEvent;

use crate::connect::Bus;
use crate::history::ReadError;
use crate::look::{Message, Reader};
use crate::outgoing::Trace;
use crate::topology::{self, Stream};

/// What became of a removal.
#[derive(Debug, thiserror::Error)]
#[error("cannot remove a dead letter")]
pub struct RemoveError(#[source] DeleteMessageError);

/// A dead letter as it is kept.
pub struct StoredDeadLetter {
    /// Its place in the stream.
    pub sequence: u64,
    /// What follows the event in its subject: mostly the key of a submission.
    pub key: String,
    /// When it was given up.
    pub died_at: SystemTime,
    /// What follows the submission.
    pub trace: Trace,
    /// What it holds; nothing where it is not of our making.
    pub dead: Option<DeadLetter>,
}

/// What a dead letter was about.
pub enum Content {
    /// For the fetcher.
    Queued(Queued),
    /// For the judge.
    Ready(Ready),
    /// For the reporter, who tells that it is running.
    Running(Running),
    /// For the reporter, who tells the verdict.
    Judged(Box<Judged>),
    /// Nobody can read it, and why.
    Unreadable(String),
}

impl StoredDeadLetter {
    fn of(message: &Message) -> Self {
        Self {
            sequence: message.sequence.unwrap_or_default(),
            key: topology::event_and_key(&message.subject).map_or("", |(_, key)| key).to_owned(),
            died_at: message.at,
            trace: Trace::of(|name| message.header(name)),
            dead: DeadLetter::decode(&message.payload).ok(),
        }
    }

    /// The generation of a submission that it is about, where it is about one.
    #[must_use]
    pub fn key(&self) -> Option<SubmissionKey> {
        SubmissionKey::parse(&self.key)
    }

    /// The word of the event that could not be processed.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        topology::event_and_key(&self.dead.as_ref()?.subject).map(|(event, _)| event)
    }

    /// What it was about.
    #[must_use]
    pub fn content(&self) -> Content {
        let Some(dead) = &self.dead else {
            return Content::Unreadable("it is not a dead letter of ours".to_owned());
        };
        if dead.payload.is_empty() {
            return Content::Unreadable("it holds no message".to_owned());
        }
        match self.event() {
            Some(Queued::NAME) => self.decoded(dead, Content::Queued),
            Some(Ready::NAME) => self.decoded(dead, Content::Ready),
            // What the fetcher is to do is the same as for what was queued.
            Some(Expired::NAME) => self.decoded(dead, |Expired { ready }| {
                Content::Queued(Queued { submission: ready.submission, source: ready.source })
            }),
            Some(Running::NAME) => self.decoded(dead, Content::Running),
            Some(Judged::NAME) => self.decoded(dead, |judged| Content::Judged(Box::new(judged))),
            _ => Content::Unreadable("its message is not one that a stage takes".to_owned()),
        }
    }

    fn decoded<E: WireEvent>(&self, dead: &DeadLetter, content: impl FnOnce(E) -> Content) -> Content {
        match E::decode(&dead.payload) {
            Ok(event) if event.key() == self.key => content(event),
            Ok(_) => {
                Content::Unreadable("the submission in its message is not that of its subject".to_owned())
            }
            Err(error) => Content::Unreadable(format!("its message cannot be read: {error}")),
        }
    }
}

/// Dead letters, oldest first.
pub struct DeadLetters(Reader);

impl DeadLetters {
    /// The next one.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn next(&mut self) -> Result<Option<StoredDeadLetter>, ReadError> {
        Ok(self.0.next().await?.as_ref().map(StoredDeadLetter::of))
    }
}

impl Bus {
    /// All dead letters since this time, or all there are.
    #[must_use]
    pub fn letters(&self, since: Option<SystemTime>) -> DeadLetters {
        DeadLetters(self.look().read(Stream::DeadLetter, &topology::subject(DeadLetter::NAME, ">"), since))
    }

    /// The dead letters of all generations of a submission, oldest first.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn letters_of(&self, id: &SubmissionId) -> Result<Vec<StoredDeadLetter>, ReadError> {
        let mut letters = Vec::new();
        for key in [id.to_string(), format!("{id}.*")] {
            let mut of_key = DeadLetters(self.look().read(
                Stream::DeadLetter,
                &topology::subject(DeadLetter::NAME, key),
                None,
            ));
            while let Some(letter) = of_key.next().await? {
                letters.push(letter);
            }
        }
        letters.sort_by_key(|letter| letter.sequence);
        Ok(letters)
    }

    /// Removes a dead letter for good; false where it was not there any more.
    ///
    /// # Errors
    /// [`RemoveError`].
    pub async fn remove_letter(&self, letter: &StoredDeadLetter) -> Result<bool, RemoveError> {
        let stream =
            self.context.get_stream_no_info(Stream::DeadLetter.name()).await.expect("our names are valid");
        match stream.delete_message(letter.sequence).await {
            Ok(removed) => Ok(removed),
            Err(error) => match error.kind() {
                DeleteMessageErrorKind::JetStream(answer) if is_absence(&answer) => Ok(false),
                _ => Err(RemoveError(error)),
            },
        }
    }
}

fn is_absence(answer: &async_nats::jetstream::Error) -> bool {
    matches!(answer.error_code(), ErrorCode::SEQUENCE_NOT_FOUND | ErrorCode::NO_MESSAGE_FOUND)
}
