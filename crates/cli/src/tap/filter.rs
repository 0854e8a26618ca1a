//! The options of `gavel tap` that select events.

use std::time::Duration;

use clap::Args;
use gavel_describe::expression::Expression;
use gavel_describe::filter::Filter;

use crate::time::parse_duration;

#[derive(Args, Clone)]
pub(super) struct FilterOptions {
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

impl FilterOptions {
    /// The filter that the options describe.
    pub(super) fn filter(&self) -> Filter {
        let Self { id, question, stage, lang, status, kind, errors, slow, condition } = self.clone();
        Filter { id, question, stage, lang, status, kind, errors, slow, condition }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use clap::Parser;

    #[derive(Parser)]
    struct Options {
        #[command(flatten)]
        filter: FilterOptions,
    }

    fn matches(arguments: &[&str], event: &Event) -> bool {
        let arguments = ["tap"].iter().chain(arguments);
        Options::try_parse_from(arguments).unwrap().filter.filter().matches(event)
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
