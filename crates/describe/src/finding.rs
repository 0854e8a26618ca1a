//! The results of checks, each problem with its remedy.

use serde::Serialize;

pub mod nats;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was checked.
    pub name: String,
    /// The result.
    pub state: State,
    /// What was found, as a clause.
    pub found: String,
    /// What to do about it, as full sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// The state of what was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// There is no problem.
    Good,
    /// It works, but should be changed.
    Warning,
    /// It is a problem.
    Bad,
    /// It is missing, but not required.
    #[serde(rename = "spare")]
    Optional,
    /// It was not checked.
    Skipped,
}

impl Finding {
    /// There is no problem.
    #[must_use]
    pub fn good(name: &str, found: impl Into<String>) -> Self {
        Self { name: name.to_owned(), state: State::Good, found: found.into(), remedy: None }
    }

    /// Whether there is no problem.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.state == State::Good
    }

    /// It was not checked.
    #[must_use]
    pub fn skipped(name: &str, found: &str) -> Self {
        Self { state: State::Skipped, ..Self::good(name, found) }
    }

    /// A problem.
    #[must_use]
    pub fn bad(name: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Bad, remedy: Some(remedy.into()), ..Self::good(name, found) }
    }

    /// Something that works, but should be changed.
    #[must_use]
    pub fn warning(name: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Warning, ..Self::bad(name, found, remedy) }
    }
}
