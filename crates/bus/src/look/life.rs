//! All that is stored of one submission.

use std::time::{Duration, SystemTime};

use gavel_domain::event::{DeadLetter, Expired, Judged, Queued, Ready, Rejudged, Reported, Running};
use gavel_domain::{Generation, SubmissionId, SubmissionKey};
use gavel_proto::{Call, WireEvent as _, decode_claim};

use super::{Look, LookError, Message};
use crate::topology::{self, Stream};

/// The dead letters of one submission that are read.
const MOST_LETTERS: usize = 50;
/// The messages that are counted for a rate.
const MOST_COUNTED: usize = 5_000;

/// What is stored of one run of a submission.
#[derive(Clone, Debug)]
pub struct Life {
    /// Which run.
    pub generation: Generation,
    /// Its events, in the order in which they were stored.
    pub events: Vec<Message>,
    /// Who has won the first call to Convex.
    pub claim: Option<Claim>,
    /// When the call of running had ended.
    pub answered_at: Option<SystemTime>,
}

/// The right to the first call to Convex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// When it was won.
    pub at: SystemTime,
    /// By whom.
    pub instance: String,
    /// Whether the call is that of running; if not it is that of the result.
    pub is_running: bool,
}

impl Look {
    /// What is stored of a submission, run by run; nothing where there is no such submission.
    ///
    /// # Errors
    /// [`LookError`].
    pub async fn lives(&self, id: &SubmissionId) -> Result<Vec<Life>, LookError> {
        let (mut lives, mut generation) = (Vec::new(), Generation::FIRST);
        loop {
            let life = self.life(SubmissionKey { id: id.clone(), generation }).await?;
            if life.events.is_empty() {
                return Ok(lives);
            }
            lives.push(life);
            generation = generation.next();
        }
    }

    async fn life(&self, key: SubmissionKey) -> Result<Life, LookError> {
        let mut events = Vec::new();
        for (stream, word) in [
            (Stream::Result, Rejudged::NAME),
            (Stream::Queued, Queued::NAME),
            (Stream::Ready, Ready::NAME),
            (Stream::Ready, Expired::NAME),
            (Stream::Result, Running::NAME),
            (Stream::Result, Judged::NAME),
            (Stream::Result, Reported::NAME),
        ] {
            events.extend(self.first(stream, &topology::subject(word, &key), 1).await?);
        }
        let mut letters = self.read(Stream::DeadLetter, &topology::subject(DeadLetter::NAME, &key), None);
        while let Some(letter) = letters.next().await? {
            events.push(letter);
            if events.len() > MOST_LETTERS {
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
        Ok(Life {
            generation: key.generation,
            events,
            claim,
            answered_at: answered.map(|message| message.at),
        })
    }

    /// How many verdicts a second there were in this time: since the first of them, where there were more, so that a
    /// line that has just begun, or begun again, is not taken for a slow one.
    ///
    /// # Errors
    /// [`LookError`].
    pub async fn verdicts_a_second(&self, time: Duration) -> Result<f64, LookError> {
        let mut verdicts = self.read(Stream::Result, "submission.judged.>", Some(SystemTime::now() - time));
        let (mut count, mut first) = (0_u32, None);
        while (count as usize) < MOST_COUNTED
            && let Some(verdict) = verdicts.next().await?
        {
            count += 1;
            first.get_or_insert(verdict.at);
        }
        let since_first = first.and_then(|first| first.elapsed().ok()).unwrap_or_default();
        Ok(pace(count, since_first, time))
    }
}

/// So many in a second, where the first of them was so long ago and all were within this time.
fn pace(count: u32, since_first: Duration, time: Duration) -> f64 {
    match count {
        0 | 1 => f64::from(count) / time.as_secs_f64(),
        // The first one began the time that is measured.
        _ => f64::from(count - 1) / since_first.max(Duration::from_millis(1)).as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_that_since_the_first_verdict() {
        let seconds = Duration::from_secs;
        let paces = [(0, 0), (1, 1), (4, 6), (61, 60)]
            .map(|(count, since_first)| pace(count, seconds(since_first), seconds(60)));
        assert_eq!(paces.map(|pace| format!("{:.0}", pace * 60.0)), ["0", "1", "30", "60"]);
        assert!(pace(2, Duration::ZERO, seconds(60)).is_finite());
    }
}
