//! Heartbeats: the state that each running service publishes periodically.

use crate::LanguageId;

/// The current state of a service. A service whose heartbeats stop is considered gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The name of the service, such as "judge".
    pub service: String,
    /// The name of the instance.
    pub instance: String,
    /// The version of the service.
    pub version: String,
    /// When the instance started, in milliseconds since the Unix epoch.
    pub started_at_ms: u64,
    /// How many messages it processes in parallel. 0 for a service that consumes no messages.
    pub slots: u32,
    /// How many messages are in progress.
    pub busy: u32,
    /// The languages that a judge serves.
    pub languages: Vec<ServedLanguage>,
    /// The external services that it calls, with the status that its own calls show.
    pub dependencies: Vec<DependencyStatus>,
    /// Why the instance is not ready, one clause each. Empty if it is ready.
    pub problems: Vec<String>,
}

impl Heartbeat {
    /// Whether the instance announces that it serves a language.
    #[must_use]
    pub fn serves(&self, language: LanguageId) -> bool {
        self.languages.iter().any(|served| served.id == language)
    }
}

/// The status of an external service, as seen by a service that calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependencyStatus {
    /// The display name, such as "Convex".
    pub name: String,
    /// What is wrong, in one clause. `None` if it works as far as is known.
    pub problem: Option<String>,
    /// When this status began, in milliseconds since the Unix epoch. `None` if the service was never called.
    pub since_ms: Option<u64>,
}

/// A language that a judge serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedLanguage {
    /// The Judge0 id.
    pub id: LanguageId,
    /// The display name.
    pub name: String,
    /// The version of the toolchain. Empty if it is not known.
    pub version: String,
    /// The engine that runs it: "sandbox" or "judge0".
    pub engine: String,
}
