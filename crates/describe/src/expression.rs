//! The expressions of `--where`.
//!
//! ```text
//! any   = all { "or" all }
//! all   = one { "and" one }
//! one   = "not" one | "(" any ")" | field [ op value ]
//! op    = "==" | "!=" | "<" | "<=" | ">" | ">=" | "~" (contains, in any case) | "!~"
//! value = word | "text in quotes" | number with a unit (ms s m h d kb mb)
//! ```
//!
//! Fields are those of `-o jsonl`. `&&`, `||` and `!` work, too. Times are compared in milliseconds. A field alone tests
//! whether the event has it. A field that the event does not have is unequal to every value.

use serde_json::Value;

mod parse;

/// The fields that expressions and templates can use.
pub const FIELDS: [&str; 25] = [
    "time",
    "stage",
    "id",
    "generation",
    "subject",
    "question",
    "language",
    "kind",
    "status",
    "passed",
    "total",
    "reason",
    "durationMs",
    "instance",
    "attempts",
    "gaveUp",
    "from",
    "toolchain",
    "gapMs",
    "times",
    "requestId",
    "bytes",
    "sourceBytes",
    "sourceSha256",
    "head",
];

/// A condition on an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// Any of these.
    Or(Vec<Expression>),
    /// All of these.
    And(Vec<Expression>),
    /// The opposite.
    Not(Box<Expression>),
    /// The event has the field.
    Has(&'static str),
    /// The field compares to the literal in this way.
    Test {
        /// The name of the field.
        field: &'static str,
        /// The comparison.
        op: Op,
        /// The value to compare with.
        literal: Literal,
    },
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Op {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Contains,
    NotContains,
}

/// A value as written, and its number if it is one.
#[derive(Clone, Debug, PartialEq)]
pub struct Literal {
    text: String,
    number: Option<f64>,
}

impl Expression {
    /// Parses an expression.
    ///
    /// # Errors
    /// Returns what is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse::parse(text)
    }

    /// Whether an event, as JSON, matches.
    #[must_use]
    pub fn matches(&self, event: &Value) -> bool {
        match self {
            Self::Or(any) => any.iter().any(|each| each.matches(event)),
            Self::And(all) => all.iter().all(|each| each.matches(event)),
            Self::Not(one) => !one.matches(event),
            Self::Has(field) => event.get(field).is_some(),
            Self::Test { field, op, literal } => compare(event.get(field), *op, literal),
        }
    }
}

fn compare(value: Option<&Value>, op: Op, literal: &Literal) -> bool {
    let Some(value) = value else { return matches!(op, Op::NotEqual | Op::NotContains) };
    let order = match (value.as_f64(), literal.number) {
        (Some(value), Some(wanted)) => value.partial_cmp(&wanted),
        _ => Some(text(value).as_str().cmp(&literal.text)),
    };
    let contains = || text(value).to_lowercase().contains(&literal.text.to_lowercase());
    match op {
        Op::Equal => order.is_some_and(std::cmp::Ordering::is_eq),
        Op::NotEqual => order.is_none_or(std::cmp::Ordering::is_ne),
        Op::Less => order.is_some_and(std::cmp::Ordering::is_lt),
        Op::AtMost => order.is_some_and(std::cmp::Ordering::is_le),
        Op::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
        Op::AtLeast => order.is_some_and(std::cmp::Ordering::is_ge),
        Op::Contains => contains(),
        Op::NotContains => !contains(),
    }
}

/// Returns a field as text, strings without quotes.
pub fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matches(text: &str) -> bool {
        let event = json!({
            "stage": "judged", "status": "failed", "durationMs": 5200, "language": 71, "id": "123",
            "reason": "Wrong answer", "passed": 3, "bytes": 2048,
        });
        Expression::parse(text).unwrap().matches(&event)
    }

    #[test]
    fn expressions_match_events() {
        for holds in [
            "status == failed",
            "durationMs > 5s and durationMs<5.3s",
            "durationMs == 5200ms",
            "reason ~ \"wrong ANSWER\"",
            "status==passed or (language == 71 && !(passed >= 4))",
            "not status == passed",
            "id == 123",
            "bytes <= 2kb",
            "question != q1",
            "reason",
            "! requestId and stage != queued",
        ] {
            assert!(matches(holds), "{holds}");
        }
        for fails in [
            "status != failed",
            "durationMs > 6s",
            "question == q1",
            "question",
            "reason !~ wrong",
            "id < 123",
        ] {
            assert!(!matches(fails), "{fails}");
        }
    }
}
