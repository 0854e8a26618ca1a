//! New generations of a submission: it is judged again, or goes on from where it died.
//!
//! Write-once subjects let nothing happen twice, so what is to happen again happens under another key. A
//! generation is *allotted* by its record, `submission.rejudged.<id>.<generation>`, of which the server stores one;
//! then its first event is published, and the pipeline does the rest. Whoever is killed between the two is
//! completed by the same command, run again.

use std::time::{Duration, SystemTime};

use gavel_domain::event::{Expired, Judged, Queued, Ready, Rejudged, Reported, Running, Stage};
use gavel_domain::{Generation, Submission, SubmissionId, SubmissionKey};
use gavel_proto::{DecodeError, WireEvent};

use crate::connect::Bus;
use crate::history::ReadError;
use crate::letters::{Content, RemoveError, StoredDeadLetter};
use crate::outgoing::{Outgoing, Trace};
use crate::publish::{PublishError, Stored};
use crate::topology::{self, Stream};

const PATIENCE: Duration = Duration::from_secs(10);

/// Why no new generation has begun.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// Nothing to begin with.
    #[error("the history, which reaches 72 hours back, does not have it; it can only be submitted again")]
    Unknown,
    /// The present generation has no end yet; two at a time would be told in any order.
    #[error("generation {generation} is not over: {state}; try again once it is")]
    NotOver {
        /// The present one.
        generation: Generation,
        /// How far it is.
        state: &'static str,
    },
    /// What was tried more than once may have had a call without an answer, which Convex may still apply: after the
    /// result of a newer generation it would have the last word.
    #[error(
        "generation {generation} was told to Convex in several tries, one of which may still take effect; try again in \
         {} s",
        left.as_secs() + 1
    )]
    NotSettled {
        /// The present one.
        generation: Generation,
        /// How long it may still do so.
        left: Duration,
    },
    /// A retry was cut off before its first event.
    #[error(
        "generation {0} was begun by a retry of a dead letter and cut off; run `gavel dead retry` again first"
    )]
    Unfinished(Generation),
    /// A newer generation takes the letter's place.
    #[error("generation {0} has begun since; this letter is of the past and can be dropped")]
    Superseded(Generation),
    /// Somebody else was faster.
    #[error("generation {0} has just been begun by somebody else")]
    Race(Generation),
    /// Nobody can read the letter, so nobody can go on from it.
    #[error(
        "{0}; nothing can go on from it. Look at it, then drop it; `gavel rejudge` starts over where it can"
    )]
    Unreadable(String),
    /// The letter is about a call that needs no repeat.
    #[error("it is about telling that the submission runs, which its result tells, too; it can be dropped")]
    Needless,
    /// What is to be judged again cannot be read.
    #[error("what was submitted cannot be decoded")]
    Decode(#[from] DecodeError),
    /// The history does not answer.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It was not published, or nobody knows; the same command can be run again.
    #[error("cannot publish; run the same again")]
    Publish(#[from] PublishError),
    /// It has begun; but a letter of the past is still there.
    #[error(transparent)]
    Remove(#[from] RemoveError),
}

impl BeginError {
    /// Whether NATS is at fault, so that the rest need not be tried either.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Read(_) | Self::Publish(_) | Self::Remove(_))
    }
}

/// A generation that has begun, or would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Which one.
    pub generation: Generation,
    /// The stage whose input is its first event.
    pub from: Stage,
    /// Whether an earlier command had allotted it and was cut off.
    pub resumed: bool,
}

/// Who begins new generations.
pub struct Generations {
    bus: Bus,
    by: String,
    settles_after: Duration,
}

/// What a new generation begins with, as an earlier one had it.
enum First {
    Queued(Queued),
    Ready(Ready),
    Judged(Box<Judged>),
}

impl First {
    fn stage(&self) -> Stage {
        match self {
            Self::Queued(_) => Stage::Fetcher,
            Self::Ready(_) => Stage::Judge,
            Self::Judged(_) => Stage::Reporter,
        }
    }

    fn readdress(&mut self, to: &Submission) {
        match self {
            Self::Queued(event) => event.submission.clone_from(to),
            Self::Ready(event) => event.submission.clone_from(to),
            Self::Judged(event) => event.submission.clone_from(to),
        }
    }

    fn submission(&self) -> &Submission {
        match self {
            Self::Queued(event) => &event.submission,
            Self::Ready(event) => &event.submission,
            Self::Judged(event) => &event.submission,
        }
    }

    fn outgoing(&self) -> Outgoing {
        match self {
            Self::Queued(event) => event.into(),
            Self::Ready(event) => event.into(),
            Self::Judged(event) => (&**event).into(),
        }
    }
}

impl Generations {
    /// `by` is written into the records; by `settles_after` a call that had no answer has taken effect at Convex or never
    /// will.
    #[must_use]
    pub fn new(bus: Bus, by: String, settles_after: Duration) -> Self {
        Self { bus, by, settles_after }
    }

    /// Has a submission judged again, from its test cases on. With `dry` nothing is written.
    ///
    /// # Errors
    /// [`BeginError`].
    pub async fn rejudge(&self, id: &SubmissionId, reason: &str, dry: bool) -> Result<Begun, BeginError> {
        let record = self.bus.newest(id).await?;
        let present = record.as_ref().map_or(Generation::FIRST, |record| record.submission.generation);
        let Some((queued, trace)) = self.queued(id, present).await? else { return Err(BeginError::Unknown) };
        let first = First::Queued(queued);
        if let Some(record) = record
            && !self.has_first_event(&record).await?
        {
            return match record.from {
                Stage::Fetcher => self.resume(&record, first, &trace, dry).await,
                Stage::Judge | Stage::Reporter => Err(BeginError::Unfinished(present)),
            };
        }
        self.begin(SubmissionKey { id: id.clone(), generation: present }, first, &trace, reason, dry).await
    }

    /// Has a dead letter's submission go on from its stage, and removes the letter.
    ///
    /// # Errors
    /// [`BeginError`].
    pub async fn retry(&self, letter: &StoredDeadLetter) -> Result<Begun, BeginError> {
        let first = match letter.content() {
            Content::Queued(event) => First::Queued(event),
            Content::Ready(event) => First::Ready(event),
            Content::Judged(event) => First::Judged(event),
            Content::Running(_) => return Err(BeginError::Needless),
            Content::Unreadable(why) => return Err(BeginError::Unreadable(why)),
        };
        let key = letter.key().expect("what can be read has a submission's key");
        if let Some(record) = self.bus.newest(&key.id).await?
            && record.submission.generation > key.generation
        {
            if record.submission.generation == key.generation.next() && record.from == first.stage() {
                return self.resume(&record, first, &letter.trace, false).await;
            }
            return Err(BeginError::Superseded(record.submission.generation));
        }
        let reason = format!("dead letter {} of the {}", letter.sequence, first.stage().as_str());
        self.begin(key, first, &letter.trace, &reason, false).await
    }

    async fn begin(
        &self,
        present: SubmissionKey,
        mut first: First,
        trace: &Trace,
        reason: &str,
        dry: bool,
    ) -> Result<Begun, BeginError> {
        self.expect_end(&present).await?;
        let generation = present.generation.next();
        let begun = Begun { generation, from: first.stage(), resumed: false };
        if dry {
            return Ok(begun);
        }
        let submission = Submission { generation, accepted_at_ms: now_ms(), ..first.submission().clone() };
        let (by, reason) = (self.by.clone(), reason.to_owned());
        let record = Rejudged { submission, from: begun.from, by, reason };
        let outgoing = Outgoing::from(&record);
        if self.bus.publish(&outgoing, trace, PATIENCE).await? != Stored::New {
            // It may be ours all the same, where an answer was lost.
            let stands = self.last_on(Stream::Result, &outgoing.subject).await?;
            if stands.is_none_or(|message| message.payload != outgoing.payload) {
                return Err(BeginError::Race(generation));
            }
        }
        first.readdress(&record.submission);
        self.send(&first, trace).await?;
        Ok(begun)
    }

    /// Completes what an earlier command has begun.
    async fn resume(
        &self,
        record: &Rejudged,
        mut first: First,
        trace: &Trace,
        dry: bool,
    ) -> Result<Begun, BeginError> {
        let begun = Begun { generation: record.submission.generation, from: record.from, resumed: true };
        if dry {
            return Ok(begun);
        }
        first.readdress(&record.submission);
        if self.has_first_event(record).await? {
            self.forget_before(first.submission()).await?;
        } else {
            self.send(&first, trace).await?;
        }
        Ok(begun)
    }

    /// Publishes the first event; then the letters of earlier generations are of the past.
    async fn send(&self, first: &First, trace: &Trace) -> Result<(), BeginError> {
        self.bus.publish(&first.outgoing(), trace, PATIENCE).await?;
        self.forget_before(first.submission()).await
    }

    async fn forget_before(&self, submission: &Submission) -> Result<(), BeginError> {
        for letter in self.bus.letters_of(&submission.id).await? {
            if letter.key().is_some_and(|key| key.generation < submission.generation) {
                self.bus.remove_letter(&letter).await?;
            }
        }
        Ok(())
    }

    /// The newest of what was queued, with what follows the submission.
    async fn queued(
        &self,
        id: &SubmissionId,
        newest: Generation,
    ) -> Result<Option<(Queued, Trace)>, BeginError> {
        for number in (1..=newest.number()).rev() {
            let generation = Generation::new(number).expect("it is from 1 on");
            let subject = topology::subject(Queued::NAME, SubmissionKey { id: id.clone(), generation });
            if let Some(message) = self.last_on(Stream::Queued, &subject).await? {
                let trace = Trace::from_headers(Some(&message.headers));
                return Ok(Some((Queued::decode(&message.payload)?, trace)));
            }
        }
        Ok(None)
    }

    /// Whether the generation of a record has begun. Of work that is done, only what came of it is left.
    async fn has_first_event(&self, record: &Rejudged) -> Result<bool, BeginError> {
        let key = record.submission.key();
        let places: &[(Stream, &str)] = match record.from {
            Stage::Fetcher => &[(Stream::Queued, Queued::NAME)],
            Stage::Judge => &[
                (Stream::Ready, Ready::NAME),
                (Stream::Result, Running::NAME),
                (Stream::Result, Judged::NAME),
            ],
            Stage::Reporter => &[(Stream::Result, Judged::NAME)],
        };
        for (stream, event) in places {
            if self.is_there(*stream, event, &key).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A generation is over once its verdict was told or given up, or what leads to one cannot be read.
    async fn expect_end(&self, key: &SubmissionKey) -> Result<(), BeginError> {
        let reported = topology::subject(Reported::NAME, key);
        if let Some(message) = self.last_on(Stream::Result, &reported).await? {
            let attempts = Reported::decode(&message.payload)?.attempts;
            return self.expect_settled(key, attempts, message.time.into());
        }
        let letters = self.bus.letters_of(&key.id).await?;
        let died_at = |event: &str, letter: &StoredDeadLetter| {
            letter.key().as_ref() == Some(key) && letter.event() == Some(event)
        };
        if let Some(letter) = letters.iter().find(|letter| died_at(Judged::NAME, letter)) {
            let attempts = letter.dead.as_ref().map_or(1, |dead| dead.attempts);
            return self.expect_settled(key, attempts, letter.died_at);
        }
        if self.is_there(Stream::Result, Judged::NAME, key).await? {
            let state = "its verdict is still to be told to Convex";
            return Err(BeginError::NotOver { generation: key.generation, state });
        }
        // What could be read has an error for its verdict, which was told, or forgotten like all else of that time.
        let is_past = |letter: &StoredDeadLetter| {
            let is_work =
                [Queued::NAME, Ready::NAME, Expired::NAME].iter().any(|event| died_at(event, letter));
            let is_old = letter.died_at.elapsed().is_ok_and(|age| age > topology::HISTORY);
            is_work && (is_old || matches!(letter.content(), Content::Unreadable(_)))
        };
        if letters.iter().any(is_past) {
            return Ok(());
        }
        Err(BeginError::NotOver { generation: key.generation, state: "it has no verdict yet" })
    }

    /// The one call of a single delivery had an answer, or there would be no end. Of several, the last had.
    fn expect_settled(
        &self,
        key: &SubmissionKey,
        attempts: u64,
        ended_at: SystemTime,
    ) -> Result<(), BeginError> {
        let settles_at = ended_at + self.settles_after;
        match settles_at.duration_since(SystemTime::now()) {
            Ok(left) if attempts > 1 && !left.is_zero() => {
                Err(BeginError::NotSettled { generation: key.generation, left })
            }
            _ => Ok(()),
        }
    }

    async fn is_there(&self, stream: Stream, event: &str, key: &SubmissionKey) -> Result<bool, ReadError> {
        Ok(self.last_on(stream, &topology::subject(event, key)).await?.is_some())
    }

    async fn last_on(
        &self,
        stream: Stream,
        subject: &str,
    ) -> Result<Option<async_nats::jetstream::message::StreamMessage>, ReadError> {
        self.bus.last_on(stream, subject).await.map_err(ReadError::Message)
    }
}

fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
