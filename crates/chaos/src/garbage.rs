//! Malformed messages, as anybody with the rights of a plain user could publish them; and what must become of each.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use gavel_domain::event::{Queued, Running};
use gavel_domain::{Generation, LanguageId, QuestionId, Submission, SubmissionId, SubmissionKind};
use gavel_proto::WireEvent as _;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::world::World;

/// Subjects that somebody consumes: what is malformed there must end as a dead letter.
const CONSUMED: [&str; 5] = ["queued", "ready", "expired", "running", "judged"];
/// What follows the id there: nothing, a generation, or what is none.
const GENERATIONS: [&str; 4] = ["", "", ".2", ".x"];
/// Subjects, stored or not, that nobody reads without having been told to.
const ELSEWHERE: [&str; 7] = [
    "submission.queued",
    "submission.queued.a.b.c",
    "submission.rejudged.a.x",
    "submission.other.x",
    "callback.claimed.x",
    "bundle.1.ff.0",
    "$JS.ACK.SUB_RESULT.reporter-judged.1.1.1.1.1",
];
/// Messages thrown at once.
const AT_ONCE: u64 = 3;

/// What was thrown.
#[derive(Debug, Default)]
pub(crate) struct Garbage {
    thrown: AtomicU64,
    stored: Mutex<BTreeSet<String>>,
}

impl Garbage {
    /// Publishes a few malformed messages, and notes which were stored where somebody consumes them.
    pub(crate) async fn throw(&self, world: &World, seed: u64) {
        let mut random = SmallRng::seed_from_u64(seed);
        for _ in 0..AT_ONCE {
            let number = self.thrown.fetch_add(1, Ordering::Relaxed);
            if random.random_bool(0.25) {
                let subject = ELSEWHERE[random.random_range(0..ELSEWHERE.len())];
                // Nobody answers where it is not stored.
                let _ = world.jetstream.publish(subject, payload(&mut random)).await;
                continue;
            }
            let event = CONSUMED[random.random_range(0..CONSUMED.len())];
            let generation = GENERATIONS[random.random_range(0..GENERATIONS.len())];
            let subject = format!("submission.{event}.g{number}{generation}");
            let payload = payload(&mut random);
            // Noted before, since the answer can be lost; taken back where it is a refusal.
            self.note(&subject);
            let sent = world.jetstream.publish(subject.clone(), payload).await;
            let answer = match sent {
                Ok(ack) => ack.await,
                Err(error) => Err(error),
            };
            if let Err(error) = answer {
                world.journal.say(format_args!("{subject} was perhaps not stored: {error}"));
            }
        }
    }

    /// The subjects on which malformed messages may lie.
    pub(crate) fn subjects(&self) -> BTreeSet<String> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, subject: &str) {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).insert(subject.to_owned());
    }
}

/// Noise, nothing, a half, a whole of somebody else, or much.
fn payload(random: &mut SmallRng) -> Bytes {
    let of_another = Queued { submission: stranger(), source: "print(1)".to_owned() }.encode();
    match random.random_range(0..6) {
        0 => Bytes::new(),
        1 => of_another.slice(..of_another.len() / 2),
        2 => of_another,
        3 => Running { submission: stranger(), instance: "nobody".to_owned() }.encode(),
        4 => Bytes::from(vec![0xff; 700_000]),
        _ => {
            let length = random.random_range(1..300);
            // The first byte is no field's, so that no luck makes a message of it.
            std::iter::once(0x07).chain((1..length).map(|_| random.random())).collect()
        }
    }
}

/// A submission that nobody has made, in a message on the subject of another.
fn stranger() -> Submission {
    Submission {
        id: SubmissionId::new("stranger").expect("letters make an id"),
        question_id: QuestionId::new("sum").expect("letters make an id"),
        language: LanguageId(71),
        kind: SubmissionKind::Standard,
        accepted_at_ms: 1,
        generation: Generation::FIRST,
    }
}
