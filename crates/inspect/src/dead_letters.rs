//! Listing dead letters and removing them.

use std::time::SystemTime;

use async_nats::jetstream::stream::{DeleteMessageError, DeleteMessageErrorKind};
use async_nats::jetstream::{self, ErrorCode};
use gavel_bus::Trace;
use gavel_bus::topology::{self, Stream};
use gavel_domain::event::{DeadLetter, Expired, Judged, Queued, Ready, Running, Stage, Waiting};
use gavel_domain::{SubmissionId, SubmissionKey};
use gavel_proto::{Event, WireEvent as _};

use crate::inspector::{InspectError, Inspector};
use crate::message::Message;
use crate::reader::Reader;

/// A dead letter could not be removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot remove the dead letter")]
pub struct RemoveError(#[source] DeleteMessageError);

/// A dead letter as it is stored.
pub struct StoredDeadLetter {
    /// Its sequence number in the stream.
    pub sequence: u64,
    /// The key in its subject, normally that of a submission.
    pub key: String,
    /// When it was stored.
    pub stored_at: SystemTime,
    /// The request id and the trace context.
    pub trace: Trace,
    /// Its content; `None` if it cannot be decoded.
    pub dead_letter: Option<DeadLetter>,
    /// The sequence number of the message that is kept apart from it.
    message_sequence: Option<u64>,
}

/// The event that failed permanently.
pub enum DeadLetterContent {
    /// Input of the fetcher.
    Queued(Queued),
    /// Input of the judge.
    Ready(Ready),
    /// Input of the reporter, for the running callback.
    Running(Running),
    /// Input of the reporter, for the result callback.
    Judged(Box<Judged>),
    /// The event cannot be read, for this reason.
    Unreadable(String),
}

impl StoredDeadLetter {
    fn of(message: &Message) -> Self {
        Self {
            sequence: message.sequence.unwrap_or_default(),
            key: topology::event_and_key(&message.subject).map_or("", |(_, key)| key).to_owned(),
            stored_at: message.at,
            trace: Trace::from_lookup(|name| message.header(name)),
            dead_letter: DeadLetter::decode(&message.payload).ok(),
            message_sequence: None,
        }
    }

    /// Whether it is of this stage; without a stage, always.
    #[must_use]
    pub fn is_of_stage(&self, stage: Option<Stage>) -> bool {
        stage.is_none_or(|stage| self.dead_letter.as_ref().is_some_and(|dead| dead.stage == stage))
    }

    /// The submission and generation that it is about; `None` if its subject names none.
    #[must_use]
    pub fn submission_key(&self) -> Option<SubmissionKey> {
        SubmissionKey::parse(&self.key)
    }

    /// The name of the event that failed.
    #[must_use]
    pub fn event_name(&self) -> Option<&str> {
        topology::event_and_key(&self.dead_letter.as_ref()?.subject).map(|(event, _)| event)
    }

    /// Decodes the event that failed.
    #[must_use]
    pub fn content(&self) -> DeadLetterContent {
        let unreadable = |reason: &str| DeadLetterContent::Unreadable(reason.to_owned());
        let Some(dead_letter) = &self.dead_letter else { return unreadable("not a dead letter of Gavel") };
        if dead_letter.payload.is_empty() {
            return unreadable(match dead_letter.kept_on {
                None => "it holds no message",
                Some(_) => "its message is no longer stored",
            });
        }
        let event = match Event::decode(&dead_letter.subject, &dead_letter.payload) {
            Ok(event) if event.key() == self.key => event,
            Ok(_) => return unreadable("the submission in its message is not the one in its subject"),
            Err(error) => return unreadable(&format!("its message cannot be decoded: {error}")),
        };
        match event {
            Event::Queued(queued) => DeadLetterContent::Queued(queued),
            Event::Ready(ready) => DeadLetterContent::Ready(ready),
            // A retry starts again at any judge.
            Event::Waiting(Waiting { ready }) => DeadLetterContent::Ready(Ready { handed_on: None, ..ready }),
            // The fetcher does the same for it as for a queued submission.
            Event::Expired(Expired { ready }) => {
                DeadLetterContent::Queued(Queued { submission: ready.submission, source: ready.source })
            }
            Event::Running(running) => DeadLetterContent::Running(running),
            Event::Judged(judged) => DeadLetterContent::Judged(judged),
            Event::Reported(_) | Event::Rejudged(_) | Event::DeadLetter(_) => {
                unreadable("its message is not the input of a stage")
            }
        }
    }
}

/// Dead letters, oldest first. Messages that are kept apart from them are not read.
pub struct DeadLetters(Reader);

impl DeadLetters {
    /// Returns the next one; `None` at the end.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read.
    pub async fn next(&mut self) -> Result<Option<StoredDeadLetter>, InspectError> {
        Ok(self.0.next().await?.as_ref().map(StoredDeadLetter::of))
    }
}

impl Inspector {
    /// Reads the dead letters that were stored since `since`, or all.
    #[must_use]
    pub fn dead_letters(&self, since: Option<SystemTime>) -> DeadLetters {
        DeadLetters(self.read(Stream::DeadLetter, &topology::subject(DeadLetter::NAME, ">"), since))
    }

    /// Returns the dead letters of all generations of a submission with their messages, oldest first.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read.
    pub async fn dead_letters_of(&self, id: &SubmissionId) -> Result<Vec<StoredDeadLetter>, InspectError> {
        let mut found = Vec::new();
        for key in [id.to_string(), format!("{id}.*")] {
            let filter = topology::subject(DeadLetter::NAME, key);
            let mut dead_letters = DeadLetters(self.read(Stream::DeadLetter, &filter, None));
            while let Some(mut dead_letter) = dead_letters.next().await? {
                self.read_message(&mut dead_letter).await?;
                found.push(dead_letter);
            }
        }
        found.sort_by_key(|dead_letter| dead_letter.sequence);
        Ok(found)
    }

    /// Returns the dead letter with this sequence number, and its message; `None` if it does not exist.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read.
    pub async fn dead_letter(&self, sequence: u64) -> Result<Option<StoredDeadLetter>, InspectError> {
        let filter = topology::subject(DeadLetter::NAME, ">");
        let found = self.first(Stream::DeadLetter, &filter, sequence).await?;
        let Some(message) = found.filter(|message| message.sequence == Some(sequence)) else {
            return Ok(None);
        };
        let mut dead_letter = StoredDeadLetter::of(&message);
        self.read_message(&mut dead_letter).await?;
        Ok(Some(dead_letter))
    }

    /// Reads the message of a dead letter, if it is kept apart and still exists.
    async fn read_message(&self, stored: &mut StoredDeadLetter) -> Result<(), InspectError> {
        let Some(dead_letter) = &mut stored.dead_letter else { return Ok(()) };
        let Some(subject) = dead_letter.kept_on.as_deref().filter(|subject| is_dead_message(subject)) else {
            return Ok(());
        };
        let message = match self.first(Stream::DeadMessages, subject, 1).await {
            // The stream is optional.
            Err(InspectError::NoStream(_)) => None,
            read => read?,
        };
        if let Some(message) = message {
            dead_letter.payload = message.payload.to_vec();
            stored.message_sequence = message.sequence;
        }
        Ok(())
    }

    /// Removes a dead letter and its message permanently; returns `false` if it did not exist any more.
    ///
    /// # Errors
    /// Returns an error if the server refuses or does not answer.
    pub async fn remove_dead_letter(&self, dead_letter: &StoredDeadLetter) -> Result<bool, RemoveError> {
        // In this order: without its message, a dead letter could not be retried by the next command.
        let existed = self.delete(Stream::DeadLetter, dead_letter.sequence).await?;
        if let Some(sequence) = dead_letter.message_sequence {
            self.delete(Stream::DeadMessages, sequence).await?;
        }
        Ok(existed)
    }

    async fn delete(&self, stream: Stream, sequence: u64) -> Result<bool, RemoveError> {
        let stream = self.jetstream().get_stream_no_info(stream.name()).await;
        let stream = stream.expect("the names of the topology are valid");
        match stream.delete_message(sequence).await {
            Ok(removed) => Ok(removed),
            Err(error) => match error.kind() {
                DeleteMessageErrorKind::JetStream(answer) if is_absence(&answer) => Ok(false),
                _ => Err(RemoveError(error)),
            },
        }
    }
}

/// Returns the one of a submission's dead letters that is to be retried, of a stage or of any: that of the newest generation;
/// within it, that of the earliest stage, because reporting its error may have failed, too.
#[must_use]
pub fn to_retry(dead_letters: &[StoredDeadLetter], stage: Option<Stage>) -> Option<&StoredDeadLetter> {
    let order = |dead_letter: &&StoredDeadLetter| {
        let generation = dead_letter.submission_key().map(|key| std::cmp::Reverse(key.generation));
        (generation.is_none(), generation, dead_letter.dead_letter.as_ref().map(|dead| dead.stage))
    };
    dead_letters.iter().filter(|dead_letter| dead_letter.is_of_stage(stage)).min_by_key(order)
}

/// Whether a subject is that of one message of a dead letter. Anyone may have written the dead letter, and a wildcard would
/// name another one's message.
fn is_dead_message(subject: &str) -> bool {
    subject.starts_with("dead-message.") && !subject.contains(['*', '>'])
}

fn is_absence(answer: &jetstream::Error) -> bool {
    matches!(answer.error_code(), ErrorCode::SEQUENCE_NOT_FOUND | ErrorCode::NO_MESSAGE_FOUND)
}

#[cfg(test)]
mod tests {
    use gavel_domain::event::HandedOn;
    use gavel_testkit::fixtures;

    use super::*;

    /// Otherwise the new generation would claim to have been ready before it was created.
    #[test]
    fn waiting_event_is_retried_as_one_that_was_never_handed_on() {
        let handed_on = HandedOn { by: "judge-1".to_owned(), ready_at_ms: 1 };
        let ready = Ready { handed_on: Some(handed_on), ..fixtures::ready("k97") };
        let dead_letter = DeadLetter {
            key: "k97".to_owned(),
            stage: Stage::Judge,
            cause: "delivered 8 times without a result".to_owned(),
            attempts: 9,
            stored_at_ms: 1,
            subject: topology::waiting(ready.submission.language, "k97"),
            payload: ready.encode().to_vec(),
            kept_on: None,
        };
        let stored = StoredDeadLetter {
            sequence: 1,
            key: "k97".to_owned(),
            stored_at: SystemTime::now(),
            trace: Trace::default(),
            dead_letter: Some(dead_letter),
            message_sequence: None,
        };
        assert_eq!(stored.event_name(), Some("waiting"));
        let DeadLetterContent::Ready(retried) = stored.content() else { panic!("not a ready event") };
        assert_eq!(retried.encode(), Ready { handed_on: None, ..ready }.encode());
    }
}
