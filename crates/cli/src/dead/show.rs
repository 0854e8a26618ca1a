//! Prints dead letters. Test data is never printed; source code only with `--show-source`.

use std::fmt::Write as _;

use gavel_convex::result_body;
use gavel_domain::event::{DeadLetter, Expired, Waiting};
use gavel_domain::time::from_epoch_ms;
use gavel_domain::{Submission, SubmissionId};
use gavel_inspect::{DeadLetterContent, Inspector, StoredDeadLetter, Timeline};
use gavel_proto::WireEvent as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::print_missing;
use crate::exit::CommandOutcome;
use crate::output::{escape_control, print_line};
use crate::time::format_time;

/// Returns the line of a dead letter in the list.
pub(super) fn line(dead_letter: &StoredDeadLetter) -> String {
    let stored_at = format_time(dead_letter.stored_at);
    let key = escape_control(&dead_letter.key);
    let Some(dead) = &dead_letter.dead_letter else {
        return format!("{stored_at}  {key}  cannot be decoded");
    };
    let times = if dead.attempts == 1 { "once" } else { &format!("{} times", dead.attempts) };
    format!("{stored_at}  {key}  {}, delivered {times}: {}", dead.stage.as_str(), escape_control(&dead.cause))
}

/// Returns a dead letter as JSON, without the content of its message.
pub(super) fn summary(dead_letter: &StoredDeadLetter) -> Value {
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

/// Prints all dead letters of a submission.
pub(super) async fn show(
    inspector: &Inspector,
    id: &SubmissionId,
    show_source: bool,
    as_json: bool,
) -> anyhow::Result<CommandOutcome> {
    let dead_letters = inspector.dead_letters_of(id).await?;
    if dead_letters.is_empty() {
        print_missing(id, as_json);
        return Ok(CommandOutcome::Refused);
    }
    let history: Vec<Value> = inspector.history(id).await?.iter().flat_map(events).collect();
    for dead_letter in &dead_letters {
        let mut object = summary(dead_letter);
        object["message"] = message(dead_letter, show_source);
        object["history"] = history.clone().into();
        print_line(&if as_json { object.to_string() } else { text(&object) });
    }
    Ok(CommandOutcome::Done)
}

/// Returns the events of a generation that lead to a verdict.
fn events(timeline: &Timeline) -> Vec<Value> {
    let is_step = |name: &str| ![DeadLetter::NAME, Expired::NAME, Waiting::NAME].contains(&name);
    let steps = timeline.events.iter().filter_map(|message| {
        let event = message.event_name().filter(|name| is_step(name))?;
        let generation = timeline.generation.number();
        Some(json!({ "event": event, "generation": generation, "at": format_time(message.at) }))
    });
    steps.collect()
}

/// Returns the content of the message that failed.
fn message(dead_letter: &StoredDeadLetter, show_source: bool) -> Value {
    match dead_letter.content() {
        DeadLetterContent::Queued(queued) => program(&queued.submission, &queued.source, show_source),
        DeadLetterContent::Ready(ready) => {
            let mut object = program(&ready.submission, &ready.source, show_source);
            object["bundle"] = format!("bundle.{}.{}", ready.bundle.day, ready.bundle.digest).into();
            object
        }
        DeadLetterContent::Running(running) => submission(&running.submission),
        DeadLetterContent::Judged(judged) => {
            let mut object = submission(&judged.submission);
            object["result"] =
                serde_json::from_slice(&result_body(&judged)).expect("the result body is JSON");
            object
        }
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

/// Formats the JSON as text, with one name and value per line.
fn text(object: &Value) -> String {
    let mut text = String::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        match value {
            Value::Array(events) => {
                let _ = writeln!(text, "{name}:");
                for event in events {
                    let field = |name| event[name].as_str().unwrap_or_default();
                    let _ = writeln!(
                        text,
                        "  {}  {} (generation {})",
                        field("at"),
                        field("event"),
                        event["generation"]
                    );
                }
            }
            Value::Object(fields) => {
                let _ = writeln!(text, "{name}:");
                for (name, value) in fields {
                    let _ = writeln!(text, "  {name}: {}", format_value(value));
                }
            }
            value => {
                let _ = writeln!(text, "{name}: {}", format_value(value));
            }
        }
    }
    text
}

/// Formats a value; source code keeps its lines.
fn format_value(value: &Value) -> String {
    let Some(text) = value.as_str() else { return escape_control(&value.to_string()) };
    text.lines().map(escape_control).collect::<Vec<_>>().join("\n    ")
}
