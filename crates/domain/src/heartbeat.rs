//! What a running service says of itself, so that others know who is there and what is offered.

use crate::LanguageId;

/// A service as it is now. It is said again and again; who falls silent is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The service's word, such as "judge".
    pub service: String,
    /// What this instance is called.
    pub instance: String,
    /// The version of its program.
    pub version: String,
    /// When it started, in milliseconds since the Unix epoch.
    pub started_at_ms: u64,
    /// How many messages it takes at a time; 0 for a service that takes none.
    pub slots: u32,
    /// How many it has in hand.
    pub busy: u32,
    /// What a judge serves.
    pub languages: Vec<ServedLanguage>,
    /// What it calls outside of the line, as its own calls see it.
    pub dependencies: Vec<DependencyStatus>,
    /// Why it is not ready, a clause each; nothing where it is.
    pub problems: Vec<String>,
}

/// Somebody outside of the line, as a service that calls them sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependencyStatus {
    /// What a person calls it, such as "Convex".
    pub name: String,
    /// What is wrong, in one clause; nothing where it works, as far as is known.
    pub problem: Option<String>,
    /// Since when that is so, in milliseconds since the Unix epoch; nothing where it was never called.
    pub since_ms: Option<u64>,
}

/// A language that a judge serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedLanguage {
    /// Judge0's id.
    pub id: LanguageId,
    /// What a person calls it.
    pub name: String,
    /// The toolchain's version; empty where it is not known.
    pub version: String,
    /// What runs it: "sandbox" or "judge0".
    pub engine: String,
}
