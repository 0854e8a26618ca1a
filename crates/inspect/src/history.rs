//! The stored events of submissions.

use std::time::{Duration, SystemTime};

use gavel_bus::topology::{self, Stream};
use gavel_domain::event::{
    CallbackAttempt, DeadLetter, Expired, Judged, Queued, Ready, Rejudged, Reported, Running, Waiting,
};
use gavel_domain::{Generation, QuestionId, Submission, SubmissionId, SubmissionKey};
use gavel_proto::{Call, WireEvent as _, decode_attempt, decode_claim};

use crate::inspector::{InspectError, Inspector};
use crate::message::Message;
use crate::reader::Reader;

/// The most dead letters of one generation that are read.
const MAX_DEAD_LETTERS: usize = 50;
/// The most verdicts that are counted for a rate.
const MAX_COUNTED_VERDICTS: usize = 5_000;

/// The stored events of one generation of a submission.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// The generation.
    pub generation: Generation,
    /// Its events, in the order in which they were stored.
    pub events: Vec<Message>,
    /// The claim to the first callback.
    pub claim: Option<Claim>,
    /// When the running callback had ended.
    pub answered_at: Option<SystemTime>,
    /// The last callback attempts of all reporters, in the order in which they were stored, without the successful result
    /// call that the reported event contains.
    pub attempts: Vec<StoredAttempt>,
}

/// A callback attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAttempt {
    /// The attempt.
    pub attempt: CallbackAttempt,
    /// The reporter that made it.
    pub instance: String,
}

/// The right to the first callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// When it was stored.
    pub at: SystemTime,
    /// The reporter that owns it.
    pub instance: String,
    /// Whether it is a claim to the running callback; if not, it is one to the result callback.
    pub is_running: bool,
}

/// The submissions to one question, in the order in which they were queued, each generation by itself.
pub(crate) struct QuestionSubmissions {
    reader: Reader,
    question: QuestionId,
}

impl QuestionSubmissions {
    /// Returns the next one and the sequence number of its event; `None` at the end. Messages that cannot be decoded are
    /// skipped.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read.
    pub(crate) async fn next(&mut self) -> Result<Option<(Submission, u64)>, InspectError> {
        while let Some(message) = self.reader.next().await? {
            match Queued::decode(&message.payload) {
                Ok(queued) if queued.submission.question_id == self.question => {
                    return Ok(Some((queued.submission, message.sequence.unwrap_or_default())));
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

impl Inspector {
    /// Reads the submissions to a question that were queued since `since`, as far as the history reaches.
    pub(crate) fn submissions_to(&self, question: &QuestionId, since: SystemTime) -> QuestionSubmissions {
        let filter = topology::subject(Queued::NAME, ">");
        QuestionSubmissions {
            reader: self.read(Stream::Queued, &filter, Some(since)),
            question: question.clone(),
        }
    }

    /// Returns the stored events of a submission, one timeline for each generation, oldest first. The list is empty if
    /// the history, which reaches 72 hours back, has no event of it.
    ///
    /// # Errors
    /// Returns an error if a stream cannot be read.
    pub async fn history(&self, id: &SubmissionId) -> Result<Vec<Timeline>, InspectError> {
        let newest = self.newest_generation(id).await?;
        let (mut timelines, mut generation) = (Vec::new(), Generation::FIRST);
        loop {
            let timeline = self.timeline(SubmissionKey { id: id.clone(), generation }).await?;
            if !timeline.events.is_empty() {
                timelines.push(timeline);
            } else if generation >= newest {
                return Ok(timelines);
            }
            generation = generation.next();
        }
    }

    /// The newest generation that has a record. The first has none.
    async fn newest_generation(&self, id: &SubmissionId) -> Result<Generation, InspectError> {
        let mut records =
            self.read(Stream::Result, &topology::subject(Rejudged::NAME, format!("{id}.*")), None);
        let mut newest = Generation::FIRST;
        while let Some(record) = records.next().await? {
            let key = topology::event_and_key(&record.subject).and_then(|(_, key)| SubmissionKey::parse(key));
            newest = newest.max(key.map_or(newest, |key| key.generation));
        }
        Ok(newest)
    }

    async fn timeline(&self, key: SubmissionKey) -> Result<Timeline, InspectError> {
        let mut events = Vec::new();
        for (stream, event) in [
            (Stream::Result, Rejudged::NAME),
            (Stream::Queued, Queued::NAME),
            (Stream::Ready, Ready::NAME),
            (Stream::Ready, Expired::NAME),
            (Stream::Result, Running::NAME),
            (Stream::Result, Judged::NAME),
            (Stream::Result, Reported::NAME),
        ] {
            events.extend(self.first(stream, &topology::subject(event, &key), 1).await?);
        }
        events.extend(self.waiting(&key).await?);
        let filter = topology::subject(DeadLetter::NAME, &key);
        let mut dead_letters = self.read(Stream::DeadLetter, &filter, None);
        while let Some(dead_letter) = dead_letters.next().await? {
            events.push(dead_letter);
            if events.len() > MAX_DEAD_LETTERS {
                break;
            }
        }
        events.sort_by_key(|message| message.at);
        let claimed = self.first(Stream::Result, &topology::claimed(&key), 1).await?;
        let claim = claimed.and_then(|message| {
            let claimed = decode_claim(&message.payload).ok()?;
            let is_running = matches!(claimed.call, Call::Running { .. });
            Some(Claim { at: message.at, instance: claimed.instance, is_running })
        });
        let answered = self.first(Stream::Result, &topology::answered(&key), 1).await?;
        Ok(Timeline {
            generation: key.generation,
            events,
            claim,
            answered_at: answered.map(|message| message.at),
            attempts: self.attempts(&key).await?,
        })
    }

    async fn attempts(&self, key: &SubmissionKey) -> Result<Vec<StoredAttempt>, InspectError> {
        let mut stored = self.read(Stream::Callbacks, &topology::attempted(key), None);
        let mut attempts = Vec::new();
        loop {
            match stored.next().await {
                Ok(Some(message)) => attempts.extend(
                    decode_attempt(&message.payload)
                        .map(|(attempt, instance)| StoredAttempt { attempt, instance }),
                ),
                // An earlier version has created the streams.
                Ok(None) | Err(InspectError::NoStream(_)) => return Ok(attempts),
                Err(error) => return Err(error),
            }
        }
    }

    /// The stored event of a submission that waits for its language.
    pub(crate) async fn waiting(&self, key: &SubmissionKey) -> Result<Option<Message>, InspectError> {
        // The arguments of a format cannot be kept while a task that may change threads waits.
        let filter = topology::subject(Waiting::NAME, format!("*.{key}"));
        self.first(Stream::Waiting, &filter, 1).await
    }

    /// Returns the rate of verdicts per second within `window`. With several verdicts it is measured from the first of
    /// them, so that a pipeline that has just started is not taken for a slow one.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read.
    pub async fn verdicts_per_second(&self, window: Duration) -> Result<f64, InspectError> {
        let filter = topology::subject(Judged::NAME, ">");
        let mut verdicts = self.read(Stream::Result, &filter, Some(SystemTime::now() - window));
        let (mut count, mut first) = (0_u32, None);
        while (count as usize) < MAX_COUNTED_VERDICTS
            && let Some(verdict) = verdicts.next().await?
        {
            count += 1;
            first.get_or_insert(verdict.at);
        }
        let since_first = first.and_then(|first| first.elapsed().ok()).unwrap_or_default();
        Ok(rate(count, since_first, window))
    }
}

/// Returns events per second, if the first of `count` events was `since_first` ago and all were within `window`.
fn rate(count: u32, since_first: Duration, window: Duration) -> f64 {
    match count {
        0 | 1 => f64::from(count) / window.as_secs_f64(),
        // The first event only starts the measurement.
        _ => f64::from(count - 1) / since_first.max(Duration::from_millis(1)).as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_measured_from_the_first_verdict() {
        let seconds = Duration::from_secs;
        let rates = [(0, 0), (1, 1), (4, 6), (61, 60)]
            .map(|(count, since_first)| rate(count, seconds(since_first), seconds(60)));
        assert_eq!(rates.map(|rate| format!("{:.0}", rate * 60.0)), ["0", "1", "30", "60"]);
        assert!(rate(2, Duration::ZERO, seconds(60)).is_finite());
    }
}
