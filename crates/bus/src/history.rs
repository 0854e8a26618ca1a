//! Reading what the streams keep, for people: no consumer is made or touched, so no work is held up.

use std::time::SystemTime;

use async_nats::jetstream::stream::{DirectGetError, LastRawMessageError, LastRawMessageErrorKind};
use gavel_domain::event::{Judged, Queued, Ready, Rejudged, Reported, Running};
use gavel_domain::{Generation, QuestionId, SubmissionId, SubmissionKey};
use gavel_proto::{DecodeError, WireEvent};

use crate::connect::Bus;
use crate::look::{LookError, Reader};
use crate::topology::{self, Stream};

/// Why the history cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A message was not read.
    #[error("cannot read the history")]
    Message(#[source] DirectGetError),
    /// The messages of a stream were not read.
    #[error("cannot read the history")]
    Stream(#[from] LookError),
    /// The newest generation was not read.
    #[error("cannot read which generation is the newest")]
    Newest(#[source] LastRawMessageError),
    /// The record of a generation is not one of ours.
    #[error("the record of the newest generation cannot be decoded")]
    Decode(#[from] DecodeError),
}

/// Something that has happened to a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The event's word.
    pub event: &'static str,
    /// In which generation.
    pub generation: Generation,
    /// When the server stored it.
    pub at: SystemTime,
}

/// The submissions that were queued, each generation by itself, in order.
pub struct Submitted(Reader);

impl Submitted {
    /// The next one that answers this question. What cannot be decoded answers none.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn next(&mut self, question: &QuestionId) -> Result<Option<SubmissionId>, ReadError> {
        while let Some(message) = self.0.next().await? {
            match Queued::decode(&message.payload) {
                Ok(queued) if queued.submission.question_id == *question => {
                    return Ok(Some(queued.submission.id));
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

impl Bus {
    /// What was queued since this time, as far as the history reaches.
    #[must_use]
    pub fn submitted(&self, since: SystemTime) -> Submitted {
        Submitted(self.look().read(Stream::Queued, &topology::subject(Queued::NAME, ">"), Some(since)))
    }

    /// What has happened to a submission, oldest first, as far as the history reaches.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn moments(&self, id: &SubmissionId) -> Result<Vec<Moment>, ReadError> {
        const EVENTS: [(Stream, &str); 6] = [
            (Stream::Result, Rejudged::NAME),
            (Stream::Queued, Queued::NAME),
            (Stream::Ready, Ready::NAME),
            (Stream::Result, Running::NAME),
            (Stream::Result, Judged::NAME),
            (Stream::Result, Reported::NAME),
        ];
        let newest = self.newest(id).await?.map_or(Generation::FIRST, |record| record.submission.generation);
        let mut moments = Vec::new();
        let mut generation = Generation::FIRST;
        while generation <= newest {
            for (stream, event) in EVENTS {
                let subject = topology::subject(event, SubmissionKey { id: id.clone(), generation });
                // The first generation has no record of its own.
                if Stream::of_subject(&subject).is_none() {
                    continue;
                }
                let found = self.last_on(stream, &subject).await.map_err(ReadError::Message)?;
                moments.extend(found.map(|message| Moment { event, generation, at: message.time.into() }));
            }
            generation = generation.next();
        }
        Ok(moments)
    }

    /// The record of a submission's newest generation; none of the first. The leader is asked.
    pub(crate) async fn newest(&self, id: &SubmissionId) -> Result<Option<Rejudged>, ReadError> {
        let stream =
            self.context.get_stream_no_info(Stream::Result.name()).await.expect("our names are valid");
        let subject = topology::subject(Rejudged::NAME, format!("{id}.*"));
        // They are stored in their order, so that the last one is the newest.
        match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => Ok(Some(Rejudged::decode(&message.payload)?)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(ReadError::Newest(error)),
        }
    }
}
