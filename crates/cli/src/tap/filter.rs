//! The options of `gavel tap` that select events.

use std::time::Duration;

use clap::Args;

use super::expression::Expression;
use crate::event::Event;
use crate::time::parse_duration;

#[derive(Args)]
pub(super) struct Filter {
    /// Only these submissions; ids shortened with "…" match, too
    #[arg(long, value_name = "ID")]
    id: Vec<String>,
    /// Only submissions to this question
    #[arg(long, value_name = "ID")]
    question: Option<String>,
    /// Only these stages: queued, ready, expired, running, judged, reported, rejudged, dead, undecodable
    #[arg(long, value_delimiter = ',', value_name = "STAGE")]
    stage: Vec<String>,
    /// Only these languages, by Judge0 id or by name
    #[arg(long, value_delimiter = ',', value_name = "LANGUAGE")]
    lang: Vec<String>,
    /// Only events with this status: passed, failed, error
    #[arg(long, value_delimiter = ',', value_name = "STATUS", value_parser = ["passed", "failed", "error"])]
    status: Vec<String>,
    /// Only submissions of this kind
    #[arg(long, value_parser = ["standard", "personalized"])]
    kind: Option<String>,
    /// Only system faults: errors, dead letters, undecodable messages
    #[arg(long)]
    errors: bool,
    /// Only events that took at least this long since the previous event, or in total
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    slow: Option<Duration>,
    /// Only events that match an expression such as 'status == failed and durationMs > 5s'
    ///
    /// Fields are those of -o jsonl. Operators: ==, !=, <, <=, >, >=, ~ (contains), !~, and, or, not, parentheses.
    #[arg(long = "where", value_parser = Expression::parse, value_name = "EXPRESSION")]
    condition: Option<Expression>,
}

impl Filter {
    /// Whether the event belongs to a selected submission, whatever its stage.
    pub(super) fn selects_submission(&self, event: &Event) -> bool {
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
    pub(super) fn matches(&self, event: &Event) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Options {
        #[command(flatten)]
        filter: Filter,
    }

    fn matches(arguments: &[&str], event: &Event) -> bool {
        let arguments = ["tap"].iter().chain(arguments);
        Options::try_parse_from(arguments).unwrap().filter.matches(event)
    }

    #[test]
    fn each_option_selects_events() {
        let event = Event {
            stage: "judged".to_owned(),
            id: "k97abcdefghijklmnopqrstuvwxyz1".to_owned(),
            question: Some("q1".to_owned()),
            language: Some(71),
            kind: Some("standard".to_owned()),
            status: Some("error".to_owned()),
            duration_ms: Some(5_000),
            gap_ms: Some(100),
            ..Event::default()
        };
        for yes in [
            &["--id", "k97abc…xyz1"][..],
            &["--id", "other", "--id", &event.id],
            &["--question", "q1", "--kind", "standard"],
            &["--stage", "queued,judged", "--lang", "python"],
            &["--lang", "71,50", "--status", "error", "--errors", "--slow", "5s"],
            &["--where", "durationMs >= 5s"],
        ] {
            assert!(matches(yes, &event), "{yes:?}");
        }
        for no in [
            &["--id", "k97abc…xyz2"][..],
            &["--id", "k97"],
            &["--question", "q2"],
            &["--stage", "queued"],
            &["--lang", "C"],
            &["--status", "passed"],
            &["--kind", "personalized"],
            &["--slow", "5001ms"],
            &["--where", "durationMs < 5s"],
        ] {
            assert!(!matches(no, &event), "{no:?}");
        }
    }
}
