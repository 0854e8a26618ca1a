//! The log of a run, and the violations it found. Both are part of the evidence.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How many lines are kept.
const MAX_LINES: usize = 200_000;
/// How many violations are kept. The first ones are the most useful.
const MAX_VIOLATIONS: usize = 1_000;

/// Prints and collects the log of a run. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct RunLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    began: Instant,
    lines: Mutex<Vec<String>>,
    violations: Mutex<Vec<String>>,
}

impl Default for RunLog {
    fn default() -> Self {
        Self(Arc::new(Inner { began: Instant::now(), lines: Mutex::default(), violations: Mutex::default() }))
    }
}

impl RunLog {
    /// Prints and keeps a line, with the time since the run began.
    pub(crate) fn info(&self, text: impl Display) {
        let line = format!("[{:6.1} s] {text}", self.0.began.elapsed().as_secs_f64());
        println!("{line}");
        let mut lines = lock(&self.0.lines);
        if lines.len() < MAX_LINES {
            lines.push(line);
        }
    }

    /// Records that an invariant or an expectation is violated, so that the run fails.
    pub(crate) fn violation(&self, text: impl Display) {
        self.info(format_args!("VIOLATION: {text}"));
        let mut violations = lock(&self.0.violations);
        if violations.len() < MAX_VIOLATIONS {
            violations.push(text.to_string());
        }
    }

    /// Returns all lines.
    #[must_use]
    pub(crate) fn lines(&self) -> Vec<String> {
        lock(&self.0.lines).clone()
    }

    /// Returns all violations.
    #[must_use]
    pub(crate) fn violations(&self) -> Vec<String> {
        lock(&self.0.violations).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
