//! Which events are shown.

use std::time::Duration;

use clap::Args;

use super::expression::Expression;
use crate::event::Event;
use crate::time::parse_duration;

#[derive(Args)]
pub(super) struct Filter {
    /// Only these submissions; as shown, with its "…", does, too.
    #[arg(long, value_name = "ID")]
    id: Vec<String>,
    /// Only submissions for this question.
    #[arg(long, value_name = "ID")]
    question: Option<String>,
    /// Only these stages: queued, ready, expired, running, judged, reported, rejudged, dead, undecodable.
    #[arg(long, value_delimiter = ',', value_name = "STAGE")]
    stage: Vec<String>,
    /// Only these languages, by Judge0 id or by name.
    #[arg(long, value_delimiter = ',', value_name = "LANGUAGE")]
    lang: Vec<String>,
    /// Only verdicts that are: passed, failed, error.
    #[arg(long, value_delimiter = ',', value_name = "STATUS", value_parser = ["passed", "failed", "error"])]
    status: Vec<String>,
    /// Only submissions of this kind.
    #[arg(long, value_parser = ["standard", "personalized"])]
    kind: Option<String>,
    /// Only what went wrong on our side: errors, dead letters, what cannot be decoded.
    #[arg(long)]
    errors: bool,
    /// Only what took at least so long, since the submission's previous event or in all.
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    slow: Option<Duration>,
    /// Only what fits an expression such as 'status == failed and durationMs > 5s'. Fields are those of -o jsonl;
    /// ==, !=, <, <=, >, >=, ~ (contains), and, or, not, brackets.
    #[arg(long = "where", value_parser = Expression::parse, value_name = "EXPRESSION")]
    condition: Option<Expression>,
}

impl Filter {
    /// Whether the event is about what is looked for, whatever it says of it.
    pub(super) fn is_about(&self, event: &Event) -> bool {
        let is_language = |wanted: &String| {
            event.language.is_some_and(|id| {
                *wanted == id.to_string() || Event::language_name(id).eq_ignore_ascii_case(wanted)
            })
        };
        (self.id.is_empty() || self.id.iter().any(|id| is_id(id, &event.id)))
            && (self.question.is_none() || self.question == event.question)
            && (self.lang.is_empty() || self.lang.iter().any(is_language))
            && (self.kind.is_none() || self.kind == event.kind)
    }

    /// Whether the event is to be shown.
    pub(super) fn fits(&self, event: &Event) -> bool {
        let in_list = |list: &[String], word: Option<&String>| {
            list.is_empty() || word.is_some_and(|word| list.contains(word))
        };
        let took = event.gap_ms.max(event.duration_ms).unwrap_or(0);
        self.is_about(event)
            && in_list(&self.stage, Some(&event.stage))
            && in_list(&self.status, event.status.as_ref())
            && (!self.errors || event.is_error())
            && self.slow.is_none_or(|slow| u128::from(took) >= slow.as_millis())
            && self.condition.as_ref().is_none_or(|condition| {
                condition.fits(&serde_json::to_value(event).expect("our own values have a JSON form"))
            })
    }
}

/// Whether an id is the wanted one, which may be written as it is shown in a line.
fn is_id(wanted: &str, id: &str) -> bool {
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
    struct Line {
        #[command(flatten)]
        filter: Filter,
    }

    fn fits(arguments: &[&str], event: &Event) -> bool {
        let line = ["tap"].iter().chain(arguments);
        Line::try_parse_from(line).unwrap().filter.fits(event)
    }

    #[test]
    fn each_filter_filters() {
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
            assert!(fits(yes, &event), "{yes:?}");
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
            assert!(!fits(no, &event), "{no:?}");
        }
    }
}
