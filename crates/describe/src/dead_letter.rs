//! Dead letters as JSON. Test data is never part of it; source code only on request.

use std::fmt::Write as _;

use gavel_domain::Submission;
use gavel_domain::event::{DeadLetter, Expired, Waiting};
use gavel_domain::time::from_epoch_ms;
use gavel_inspect::{DeadLetterContent, StoredDeadLetter, Timeline};
use gavel_proto::WireEvent as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::time::format_time;

/// Returns a dead letter as JSON, without the content of its message.
#[must_use]
pub fn summary(dead_letter: &StoredDeadLetter) -> Value {
    let mut object = json!({ "key": dead_letter.key, "sequence": dead_letter.sequence, "diedAt": format_time(dead_letter.stored_at) });
    if let Some(key) = dead_letter.submission_key() {
        object["id"] = key.id.as_str().into();
        object["generation"] = key.generation.number().into();
    }
    if let Some(id) = &dead_letter.trace.request_id {
        object["requestId"] = id.as_str().into();
    }
    if let Some(parent) = &dead_letter.trace.traceparent {
        object["traceparent"] = parent.as_str().into();
    }
    if let Some(dead) = &dead_letter.dead_letter {
        let stored_at = from_epoch_ms(dead.stored_at_ms);
        object["stage"] = dead.stage.as_str().into();
        object["cause"] = dead.cause.as_str().into();
        object["attempts"] = dead.attempts.into();
        object["subject"] = dead.subject.as_str().into();
        object["storedAt"] = stored_at.map(format_time).into();
        object["bytes"] = dead.payload.len().into();
        if let Some(subject) = &dead.kept_on {
            object["keptOn"] = subject.as_str().into();
        }
    }
    object
}

/// Returns the events of a generation that lead to a verdict.
#[must_use]
pub fn events(timeline: &Timeline) -> Vec<Value> {
    let is_step = |name: &str| ![DeadLetter::NAME, Expired::NAME, Waiting::NAME].contains(&name);
    let steps = timeline.events.iter().filter_map(|message| {
        let event = message.event_name().filter(|name| is_step(name))?;
        let generation = timeline.generation.number();
        Some(json!({ "event": event, "generation": generation, "at": format_time(message.at) }))
    });
    steps.collect()
}

/// Returns what the message that failed is about: the submission, and its source or only the digest of it.
#[must_use]
pub fn message(dead_letter: &StoredDeadLetter, show_source: bool) -> Value {
    match dead_letter.content() {
        DeadLetterContent::Queued(queued) => program(&queued.submission, &queued.source, show_source),
        DeadLetterContent::Ready(ready) => {
            let mut object = program(&ready.submission, &ready.source, show_source);
            object["bundle"] = format!("bundle.{}.{}", ready.bundle.day, ready.bundle.digest).into();
            object
        }
        DeadLetterContent::Running(running) => submission(&running.submission),
        DeadLetterContent::Judged(judged) => submission(&judged.submission),
        DeadLetterContent::Unreadable(why) => {
            let mut object = json!({ "unreadable": why });
            if let Some(dead) = &dead_letter.dead_letter {
                object["sha256"] = digest(&dead.payload).into();
            }
            object
        }
    }
}

fn submission(submission: &Submission) -> Value {
    json!({
        "questionId": submission.question_id.as_str(),
        "languageId": submission.language.0,
        "submissionKind": submission.kind.as_str(),
    })
}

fn program(of: &Submission, source: &str, show_source: bool) -> Value {
    let mut object = submission(of);
    object["sourceBytes"] = source.len().into();
    object["sourceSha256"] = digest(source.as_bytes()).into();
    if show_source {
        object["sourceCode"] = source.into();
    }
    object
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes everything");
        hex
    })
}
