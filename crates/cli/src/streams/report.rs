//! What `gavel streams --dry-run` and `--apply` print.

use gavel_inspect::Difference;
use serde::Serialize;
use serde_json::Value;

use crate::output::{escape_control, json_line, print_line};
use crate::terminal;

/// What happens to a difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state", content = "remedy")]
pub(super) enum State {
    /// `--apply` would create it.
    Create,
    /// `--apply` would correct it.
    Change,
    Created,
    Changed,
    /// It can only be corrected by hand: why, and how.
    Manual(String),
    /// It could not be corrected, for this reason.
    Refused(String),
}

impl State {
    fn word(&self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Manual(_) => "by hand",
            Self::Refused(_) => "refused",
        }
    }

    fn remedy(&self) -> Option<&str> {
        match self {
            Self::Manual(text) | Self::Refused(text) => Some(text),
            _ => None,
        }
    }
}

/// A difference and what happens to it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    stream: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer: Option<&'static str>,
    /// The name of the field; missing if the stream or consumer is.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    found: Value,
    wanted: Value,
    problem: String,
    #[serde(skip)]
    correction: String,
    #[serde(flatten)]
    state: State,
}

/// All differences.
#[derive(Default)]
pub(super) struct Report(Vec<Line>);

impl Report {
    /// What `--apply` would do.
    pub(super) fn of_plan(differences: Vec<Difference>) -> Self {
        let mut report = Self::default();
        for difference in differences {
            let state = match &difference.obstacle {
                Some(obstacle) => State::Manual(obstacle.clone()),
                None if difference.is_missing() => State::Create,
                None => State::Change,
            };
            report.add(&difference, state);
        }
        report
    }

    pub(super) fn add(&mut self, difference: &Difference, state: State) {
        self.0.push(Line {
            stream: difference.stream.name(),
            consumer: difference.consumer.map(|_| difference.name()),
            field: difference.field,
            found: difference.found.clone(),
            wanted: difference.wanted.clone(),
            problem: difference.problem(),
            correction: difference.correction(),
            state,
        });
    }

    /// Whether nothing differs any more.
    pub(super) fn is_ok(&self) -> bool {
        self.0.iter().all(|line| matches!(line.state, State::Created | State::Changed))
    }

    pub(super) fn print(&self, as_json: bool) {
        if as_json {
            print_line(&json_line(&serde_json::json!({ "ok": self.is_ok(), "differences": self.0 })));
            return;
        }
        let columns = terminal::columns();
        for line in &self.0 {
            let name = line.consumer.unwrap_or(line.stream);
            let text = match line.state {
                State::Create | State::Created => name.to_owned(),
                State::Change | State::Changed => format!("{name}: {}", line.correction),
                State::Manual(_) | State::Refused(_) => format!("{name}: {}", line.problem),
            };
            let text = escape_control(&text);
            print_line(&format!("{:<8} {}", line.state.word(), terminal::wrap(&text, 9, columns)));
            if let Some(remedy) = line.state.remedy() {
                print_line(&format!("         → {}", terminal::wrap(&escape_control(remedy), 11, columns)));
            }
        }
        print_line(&self.summary());
    }

    fn summary(&self) -> String {
        let words = ["create", "change", "created", "changed", "by hand", "refused"];
        let count = |word| self.0.iter().filter(|line| line.state.word() == word).count();
        let counts = words.map(|word| (count(word), word)).into_iter().filter(|(count, _)| *count > 0);
        let counts: Vec<_> = counts
            .map(|(count, word)| match word {
                "create" | "change" => format!("{count} to {word}"),
                "by hand" => format!("{count} to change by hand"),
                _ => format!("{count} {word}"),
            })
            .collect();
        if counts.is_empty() {
            return "all streams and consumers exist with the configuration that this version wants"
                .to_owned();
        }
        counts.join(", ")
    }
}
