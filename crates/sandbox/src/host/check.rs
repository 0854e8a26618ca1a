//! The result of a check of the machine.

use std::fmt;

/// The result of checking one thing that the sandbox needs or can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCheck {
    /// What was checked.
    pub name: &'static str,
    /// Whether it is available.
    pub ok: bool,
    /// What the check found, in one clause.
    pub detail: String,
    /// What does not work without it, in one clause.
    pub impact: &'static str,
    /// What to do if it is missing; empty if there is nothing to do or to say.
    pub remedy: &'static str,
}

impl fmt::Display for HostCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, detail, impact, remedy, .. } = self;
        if self.ok {
            return write!(f, "ok       {name}: {detail}");
        }
        write!(f, "missing  {name}: {detail}\n         without it: {impact}\n         remedy: {remedy}")
    }
}
