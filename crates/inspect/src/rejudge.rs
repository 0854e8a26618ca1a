//! Creating new generations: a submission is judged again, or continues from the stage where it failed.
//!
//! Subjects are write-once, so what is to happen again happens under another key. The record
//! `submission.rejudged.<id>.<generation>`, of which the server stores one, creates a generation; then its first event is
//! published, and the pipeline does the rest. If a command is killed between the two, running it again completes it.

use std::time::{Duration, SystemTime};

use async_nats::jetstream::stream::{LastRawMessageError, LastRawMessageErrorKind};
use gavel_bus::topology::{self, Durable, HISTORY_AGE, Stream};
use gavel_bus::{Bus, Outgoing, PublishError, Stored, Trace};
use gavel_domain::event::{
    Expired, Judged, Queued, Ready, RejudgeRun, Rejudged, Reported, Running, Stage, Waiting,
};
use gavel_domain::time::epoch_ms;
use gavel_domain::{Generation, Submission, SubmissionId, SubmissionKey};
use gavel_proto::{DecodeError, WireEvent as _};

use crate::dead_letters::{DeadLetterContent, RemoveError, StoredDeadLetter};
use crate::first_event::FirstEvent;
use crate::inspector::{InspectError, Inspector};
use crate::message::Message;

/// How long one publish may take.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);

/// Why no new generation was created.
#[derive(Debug, thiserror::Error)]
pub enum RejudgeError {
    /// The submission is not in the history.
    #[error("not found in the history, which reaches 72 hours back: submit it again")]
    Unknown,
    /// The current generation has not ended; the order of two at a time would be undefined.
    #[error("generation {generation} has not ended: {state}. Try again later.")]
    NotEnded {
        /// The current generation.
        generation: Generation,
        /// How far it is.
        state: &'static str,
    },
    /// After several callback attempts, one without an answer may still take effect at Convex. If it did so after the
    /// result of a newer generation, it would overwrite that result.
    #[error(
        "generation {generation} may have taken several callback attempts, one of which may still take effect. Try again in {} s.",
        left.as_secs() + 1
    )]
    NotSettled {
        /// The current generation.
        generation: Generation,
        /// How long an attempt may still take effect.
        left: Duration,
    },
    /// A retry was interrupted before it published the first event.
    #[error("generation {0} was created by an interrupted retry: run `gavel dead retry` first")]
    Unfinished(Generation),
    /// A newer generation replaces the one of the dead letter.
    #[error("replaced by generation {0}: the dead letter is out of date and can be dropped")]
    Superseded(Generation),
    /// Another command created the generation first.
    #[error("another command has just created generation {0}")]
    Race(Generation),
    /// The event in the dead letter cannot be read.
    #[error(
        "{0}: it cannot be retried. `gavel rejudge` judges the submission again if it is in the history."
    )]
    Unreadable(String),
    /// The dead letter is about a running callback, which need not be repeated.
    #[error(
        "a failed running callback need not be retried, since the result replaces it: drop the dead letter"
    )]
    Needless,
    /// A stored event cannot be decoded.
    #[error("cannot decode the stored event")]
    Decode(#[from] DecodeError),
    /// The history cannot be read.
    #[error("cannot read the history")]
    Read(#[from] InspectError),
    /// The newest generation cannot be read.
    #[error("cannot read the newest generation")]
    Newest(#[source] LastRawMessageError),
    /// An event was not published, or it is unknown whether it was.
    #[error("cannot publish; run the same command again")]
    Publish(#[from] PublishError),
    /// The generation was created, but an older dead letter is still stored.
    #[error(transparent)]
    Remove(#[from] RemoveError),
}

impl RejudgeError {
    /// Whether NATS is the cause, so that other submissions would fail, too.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Read(_) | Self::Newest(_) | Self::Publish(_) | Self::Remove(_))
    }
}

/// A generation that was created, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewGeneration {
    /// Its number.
    pub generation: Generation,
    /// The stage that its first event is for.
    pub from: Stage,
    /// Whether an earlier command had created it and was interrupted.
    pub resumed: bool,
}

/// Creates new generations.
pub struct Rejudger {
    bus: Bus,
    pub(crate) inspector: Inspector,
    by: String,
    settle_time: Duration,
}

/// Why and how a generation is created.
struct Request<'a> {
    reason: &'a str,
    run: Option<RejudgeRun>,
    dry_run: bool,
}

impl Rejudger {
    /// `by` names the user in the records. After `settle_time`, a callback without an answer has taken effect at Convex
    /// or never will.
    #[must_use]
    pub fn new(bus: Bus, by: String, settle_time: Duration) -> Self {
        Self { inspector: Inspector::of(&bus), bus, by, settle_time }
    }

    /// Judges a submission again, starting with its test cases. `run` is the run that it belongs to, if any. With
    /// `dry_run` nothing is written.
    ///
    /// # Errors
    /// Returns an error if the submission is not in the history or has not ended, or if NATS fails.
    pub async fn rejudge(
        &self,
        id: &SubmissionId,
        reason: &str,
        run: Option<RejudgeRun>,
        dry_run: bool,
    ) -> Result<NewGeneration, RejudgeError> {
        let record = self.newest_record(id).await?;
        let current = record.as_ref().map_or(Generation::FIRST, |record| record.submission.generation);
        let Some((queued, trace)) = self.queued(id, current).await? else {
            return Err(RejudgeError::Unknown);
        };
        let first = FirstEvent::Queued(queued);
        if let Some(record) = record
            && !self.has_first_event(&record).await?
        {
            return match record.from {
                Stage::Fetcher => self.resume(&record, first, &trace, dry_run).await,
                Stage::Judge | Stage::Reporter => Err(RejudgeError::Unfinished(current)),
            };
        }
        let current = SubmissionKey { id: id.clone(), generation: current };
        let request = Request { reason, run, dry_run };
        self.create(current, first, &trace, &request).await
    }

    /// Continues a dead letter's submission from the stage where it failed, and removes the dead letter.
    ///
    /// # Errors
    /// Returns an error if the dead letter cannot be read or is out of date, if its generation has not ended, or if NATS
    /// fails.
    pub async fn retry(&self, dead_letter: &StoredDeadLetter) -> Result<NewGeneration, RejudgeError> {
        let first = match dead_letter.content() {
            DeadLetterContent::Queued(event) => FirstEvent::Queued(event),
            DeadLetterContent::Ready(event) => FirstEvent::Ready(event),
            DeadLetterContent::Judged(event) => FirstEvent::Judged(event),
            DeadLetterContent::Running(_) => return Err(RejudgeError::Needless),
            DeadLetterContent::Unreadable(reason) => return Err(RejudgeError::Unreadable(reason)),
        };
        let key = dead_letter.submission_key().expect("a readable event has the key of a submission");
        if let Some(record) = self.newest_record(&key.id).await?
            && record.submission.generation > key.generation
        {
            if record.submission.generation == key.generation.next() && record.from == first.stage() {
                return self.resume(&record, first, &dead_letter.trace, false).await;
            }
            return Err(RejudgeError::Superseded(record.submission.generation));
        }
        let reason = format!("dead letter {} of the {}", dead_letter.sequence, first.stage().as_str());
        let request = Request { reason: &reason, run: None, dry_run: false };
        self.create(key, first, &dead_letter.trace, &request).await
    }

    async fn create(
        &self,
        current: SubmissionKey,
        mut first: FirstEvent,
        trace: &Trace,
        request: &Request<'_>,
    ) -> Result<NewGeneration, RejudgeError> {
        self.check_ended(&current).await?;
        let generation = current.generation.next();
        let created = NewGeneration { generation, from: first.stage(), resumed: false };
        if request.dry_run {
            return Ok(created);
        }
        let accepted_at_ms = epoch_ms(SystemTime::now());
        let submission = Submission { generation, accepted_at_ms, ..first.submission().clone() };
        let (by, reason, run) = (self.by.clone(), request.reason.to_owned(), request.run);
        let record = Rejudged { submission, from: created.from, by, reason, run };
        let outgoing = Outgoing::from(&record);
        if self.bus.publish(&outgoing, trace, PUBLISH_TIMEOUT).await? != Stored::New {
            // The stored record may still be this one, if an answer was lost.
            let stored = self.find(Stream::Result, Rejudged::NAME, &record.submission.key()).await?;
            if stored.is_none_or(|message| message.payload != record.encode()) {
                return Err(RejudgeError::Race(generation));
            }
        }
        first.set_submission(&record.submission);
        self.publish_first(&first, trace).await?;
        Ok(created)
    }

    /// Completes a generation that an interrupted command has created.
    async fn resume(
        &self,
        record: &Rejudged,
        mut first: FirstEvent,
        trace: &Trace,
        dry_run: bool,
    ) -> Result<NewGeneration, RejudgeError> {
        let resumed =
            NewGeneration { generation: record.submission.generation, from: record.from, resumed: true };
        if dry_run {
            return Ok(resumed);
        }
        first.set_submission(&record.submission);
        if self.has_first_event(record).await? {
            self.remove_older_dead_letters(first.submission()).await?;
        } else {
            self.publish_first(&first, trace).await?;
        }
        Ok(resumed)
    }

    /// Publishes the first event, and removes the dead letters of earlier generations, which are then out of date.
    async fn publish_first(&self, first: &FirstEvent, trace: &Trace) -> Result<(), RejudgeError> {
        self.bus.publish(&first.outgoing(), trace, PUBLISH_TIMEOUT).await?;
        self.remove_older_dead_letters(first.submission()).await
    }

    async fn remove_older_dead_letters(&self, submission: &Submission) -> Result<(), RejudgeError> {
        for dead_letter in self.inspector.dead_letters_of(&submission.id).await? {
            if dead_letter.submission_key().is_some_and(|key| key.generation < submission.generation) {
                self.inspector.remove_dead_letter(&dead_letter).await?;
            }
        }
        Ok(())
    }

    /// The record of a submission's newest generation; `None` for the first. The stream's leader is asked, so that it is
    /// never out of date.
    pub(crate) async fn newest_record(&self, id: &SubmissionId) -> Result<Option<Rejudged>, RejudgeError> {
        let stream = self.inspector.jetstream().get_stream_no_info(Stream::Result.name()).await;
        let stream = stream.expect("the names of the topology are valid");
        // Generations are stored in order, so the last record is the newest.
        let subject = topology::subject(Rejudged::NAME, format!("{id}.*"));
        match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => Ok(Some(Rejudged::decode(&message.payload)?)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(RejudgeError::Newest(error)),
        }
    }

    /// The queued event of the newest generation that has one.
    async fn queued(
        &self,
        id: &SubmissionId,
        newest: Generation,
    ) -> Result<Option<(Queued, Trace)>, RejudgeError> {
        for number in (1..=newest.number()).rev() {
            let generation = Generation::new(number).expect("the number is at least 1");
            let key = SubmissionKey { id: id.clone(), generation };
            if let Some(message) = self.find(Stream::Queued, Queued::NAME, &key).await? {
                let trace = Trace::from_lookup(|name| message.header(name));
                return Ok(Some((Queued::decode(&message.payload)?, trace)));
            }
        }
        Ok(None)
    }

    /// Whether the first event of a record's generation was published. Once it is processed, only later events are left.
    pub(crate) async fn has_first_event(&self, record: &Rejudged) -> Result<bool, RejudgeError> {
        let key = record.submission.key();
        let events: &[(Stream, &str)] = match record.from {
            Stage::Fetcher => &[(Stream::Queued, Queued::NAME)],
            Stage::Judge => &[
                (Stream::Ready, Ready::NAME),
                (Stream::Result, Running::NAME),
                (Stream::Result, Judged::NAME),
            ],
            Stage::Reporter => &[(Stream::Result, Judged::NAME)],
        };
        for (stream, event) in events {
            if self.find(*stream, event, &key).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(record.from == Stage::Judge && self.inspector.waiting(&key).await?.is_some())
    }

    /// Fails unless the generation has ended: its verdict was reported or is a dead letter, or the event before the
    /// verdict cannot be read.
    async fn check_ended(&self, key: &SubmissionKey) -> Result<(), RejudgeError> {
        if let Some(message) = self.find(Stream::Result, Reported::NAME, key).await? {
            let attempts = Reported::decode(&message.payload)?.attempts;
            return self.check_settled(key, attempts, message.at).await;
        }
        let dead_letters = self.inspector.dead_letters_of(&key.id).await?;
        let has_failed = |event: &str, dead_letter: &StoredDeadLetter| {
            dead_letter.submission_key().as_ref() == Some(key) && dead_letter.event_name() == Some(event)
        };
        if let Some(failed) = dead_letters.iter().find(|each| has_failed(Judged::NAME, each)) {
            let attempts = failed.dead_letter.as_ref().map_or(1, |dead_letter| dead_letter.attempts);
            return self.check_settled(key, attempts, failed.stored_at).await;
        }
        if self.find(Stream::Result, Judged::NAME, key).await?.is_some() {
            let state = "its verdict is not yet reported to Convex";
            return Err(RejudgeError::NotEnded { generation: key.generation, state });
        }
        // A readable event that failed gets an `error` verdict, which was reported, or has left the history like
        // everything else of that time.
        let has_ended = |dead_letter: &StoredDeadLetter| {
            let is_work = [Queued::NAME, Ready::NAME, Waiting::NAME, Expired::NAME]
                .iter()
                .any(|event| has_failed(event, dead_letter));
            let is_old = dead_letter.stored_at.elapsed().is_ok_and(|age| age > HISTORY_AGE);
            is_work && (is_old || matches!(dead_letter.content(), DeadLetterContent::Unreadable(_)))
        };
        if dead_letters.iter().any(has_ended) {
            return Ok(());
        }
        Err(RejudgeError::NotEnded { generation: key.generation, state: "it has no verdict yet" })
    }

    /// Fails while a callback attempt without an answer may still take effect. If there was only one attempt it had an
    /// answer, since otherwise the generation would not have ended; of several, only the last certainly had.
    async fn check_settled(
        &self,
        key: &SubmissionKey,
        attempts: u64,
        ended_at: SystemTime,
    ) -> Result<(), RejudgeError> {
        let left = (ended_at + self.settle_time).duration_since(SystemTime::now()).unwrap_or_default();
        if !left.is_zero() && (attempts > 1 || self.was_redelivered(key, ended_at).await?) {
            return Err(RejudgeError::NotSettled { generation: key.generation, left });
        }
        Ok(())
    }

    /// Whether the verdict may have been delivered again before it ended, at `ended_at`: a reporter that was suspended ends the
    /// first delivery while the second one is in progress.
    async fn was_redelivered(&self, key: &SubmissionKey, ended_at: SystemTime) -> Result<bool, RejudgeError> {
        let Some(judged) = self.find(Stream::Result, Judged::NAME, key).await? else { return Ok(false) };
        let ack_wait = self.inspector.consumer_info(Durable::ReporterJudged).await?.config.ack_wait;
        Ok(ended_at.duration_since(judged.at).unwrap_or_default() >= ack_wait)
    }

    async fn find(
        &self,
        stream: Stream,
        event: &str,
        key: &SubmissionKey,
    ) -> Result<Option<Message>, InspectError> {
        self.inspector.first(stream, &topology::subject(event, key), 1).await
    }
}
