//! Prints dead letters. Test data is never printed; source code only with `--show-source`.

use std::fmt::Write as _;

use gavel_convex::result_body;
use gavel_describe::dead_letter::{self, summary};
use gavel_domain::SubmissionId;
use gavel_inspect::{DeadLetterContent, Inspector, StoredDeadLetter};
use serde_json::Value;

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
    let history: Vec<Value> = inspector.history(id).await?.iter().flat_map(dead_letter::events).collect();
    for each in &dead_letters {
        let mut object = summary(each);
        object["message"] = message(each, show_source);
        object["history"] = history.clone().into();
        print_line(&if as_json { object.to_string() } else { text(&object) });
    }
    Ok(CommandOutcome::Done)
}

/// Returns the content of the message that failed; of a verdict also the result callback.
fn message(dead_letter: &StoredDeadLetter, show_source: bool) -> Value {
    let mut object = dead_letter::message(dead_letter, show_source);
    if let DeadLetterContent::Judged(judged) = dead_letter.content() {
        object["result"] = serde_json::from_slice(&result_body(&judged)).expect("the result body is JSON");
    }
    object
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
