//! Malformed messages, as any client with the permissions of a plain user could publish them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use gavel_domain::event::{Queued, Running};
use gavel_domain::{Generation, LanguageId, QuestionId, Submission, SubmissionId, SubmissionKind};
use gavel_proto::WireEvent as _;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::pipeline::Pipeline;

/// Events with a consumer. A malformed message there must become a dead letter.
const CONSUMED_EVENTS: [&str; 5] = ["queued", "ready", "expired", "running", "judged"];
/// What follows the id in those subjects: nothing, a generation, or an invalid one.
const GENERATION_SUFFIXES: [&str; 4] = ["", "", ".2", ".x"];
/// Subjects without a consumer, whether a stream stores them or not.
const UNCONSUMED_SUBJECTS: [&str; 7] = [
    "submission.queued",
    "submission.queued.a.b.c",
    "submission.rejudged.a.x",
    "submission.other.x",
    "callback.claimed.x",
    "bundle.1.ff.0",
    "$JS.ACK.SUB_RESULT.reporter-judged.1.1.1.1.1",
];
/// How many messages one fault publishes.
const MESSAGES_PER_FAULT: u64 = 3;

/// The malformed messages published so far.
#[derive(Debug, Default)]
pub(crate) struct MalformedMessages {
    count: AtomicU64,
    stored: Mutex<BTreeSet<String>>,
}

impl MalformedMessages {
    /// Publishes a few malformed messages, and records the subjects of those that a consumer may receive.
    pub(crate) async fn publish(&self, pipeline: &Pipeline, seed: u64) {
        let mut random = SmallRng::seed_from_u64(seed);
        for _ in 0..MESSAGES_PER_FAULT {
            let number = self.count.fetch_add(1, Ordering::Relaxed);
            if random.random_bool(0.25) {
                let subject = UNCONSUMED_SUBJECTS[random.random_range(0..UNCONSUMED_SUBJECTS.len())];
                // If no stream stores it, there is no answer.
                let _ = pipeline.jetstream.publish(subject, payload(&mut random)).await;
                continue;
            }
            let event = CONSUMED_EVENTS[random.random_range(0..CONSUMED_EVENTS.len())];
            let generation = GENERATION_SUFFIXES[random.random_range(0..GENERATION_SUFFIXES.len())];
            let subject = format!("submission.{event}.g{number}{generation}");
            let payload = payload(&mut random);
            // Recorded before it is published, since the answer can be lost. The check allows for messages not
            // stored.
            self.record(&subject);
            let sent = pipeline.jetstream.publish(subject.clone(), payload).await;
            let answer = match sent {
                Ok(ack) => ack.await,
                Err(error) => Err(error),
            };
            if let Err(error) = answer {
                pipeline.run_log.info(format_args!("cannot tell whether {subject} was stored: {error}"));
            }
        }
    }

    /// Returns the subjects on which malformed messages may be stored.
    pub(crate) fn subjects(&self) -> BTreeSet<String> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn record(&self, subject: &str) {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).insert(subject.to_owned());
    }
}

/// Returns an empty payload, half of a message, a message of another submission or of another type, a large
/// payload, or random bytes.
fn payload(random: &mut SmallRng) -> Bytes {
    let other = Queued { submission: other_submission(), source: "print(1)".to_owned() }.encode();
    match random.random_range(0..6) {
        0 => Bytes::new(),
        1 => other.slice(..other.len() / 2),
        2 => other,
        3 => Running { submission: other_submission(), instance: "no-instance".to_owned() }.encode(),
        4 => Bytes::from(vec![0xff; 700_000]),
        _ => {
            let length = random.random_range(1..300);
            // The first byte is not a valid field, so that random bytes never form a message.
            std::iter::once(0x07).chain((1..length).map(|_| random.random())).collect()
        }
    }
}

/// A submission that does not exist, for messages on the subject of another.
fn other_submission() -> Submission {
    Submission {
        id: SubmissionId::new("stranger").expect("a valid id"),
        question_id: QuestionId::new("sum").expect("a valid id"),
        language: LanguageId(71),
        kind: SubmissionKind::Standard,
        accepted_at_ms: 1,
        generation: Generation::FIRST,
    }
}
