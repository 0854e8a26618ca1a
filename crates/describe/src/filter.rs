//! Selects events, as the options of `gavel tap` do.

use std::time::Duration;

use crate::event::Event;
use crate::expression::Expression;

/// Conditions on an event, all of which must hold. The default selects every event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Ids of submissions, which may be shortened with "…"; empty for all.
    pub id: Vec<String>,
    /// The question.
    pub question: Option<String>,
    /// Stages; empty for all.
    pub stage: Vec<String>,
    /// Languages, by Judge0 id or by name; empty for all.
    pub lang: Vec<String>,
    /// Statuses; empty for all.
    pub status: Vec<String>,
    /// The kind of the submission.
    pub kind: Option<String>,
    /// Whether only system faults are selected: errors, dead letters, undecodable messages.
    pub errors: bool,
    /// The least time since the previous event, or in total.
    pub slow: Option<Duration>,
    /// An expression.
    pub condition: Option<Expression>,
}

impl Filter {
    /// Whether the event belongs to a selected submission, whatever its stage.
    #[must_use]
    pub fn selects_submission(&self, event: &Event) -> bool {
        let is_language = |wanted: &String| {
            event.language.is_some_and(|id| {
                *wanted == id.to_string() || Event::language_name(id).eq_ignore_ascii_case(wanted)
            })
        };
        (self.id.is_empty() || self.id.iter().any(|id| matches_id(id, &event.id)))
            && (self.question.is_none() || self.question == event.question)
            && (self.lang.is_empty() || self.lang.iter().any(is_language))
            && (self.kind.is_none() || self.kind == event.kind)
    }

    /// Whether the event is selected.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        let in_list = |list: &[String], value: Option<&String>| {
            list.is_empty() || value.is_some_and(|value| list.contains(value))
        };
        let took = event.gap_ms.max(event.duration_ms).unwrap_or(0);
        self.selects_submission(event)
            && in_list(&self.stage, Some(&event.stage))
            && in_list(&self.status, event.status.as_ref())
            && (!self.errors || event.is_error())
            && self.slow.is_none_or(|slow| u128::from(took) >= slow.as_millis())
            && self.condition.as_ref().is_none_or(|condition| {
                condition.matches(&serde_json::to_value(event).expect("our own values have a JSON form"))
            })
    }
}

/// Whether an id matches `wanted`, which may be shortened with "…" as in a line of output.
fn matches_id(wanted: &str, id: &str) -> bool {
    match wanted.split_once('…') {
        None => wanted == id,
        Some((head, tail)) => {
            let tail = tail.split_once('.').map_or(tail, |(tail, _)| tail);
            id.starts_with(head) && id.ends_with(tail) && id.len() >= head.len() + tail.len()
        }
    }
}
