//! What a run says while it goes on, and what it found wrong; all of it is kept as evidence.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Lines kept.
const MAX_LINES: usize = 200_000;
/// Faults kept; the first ones tell the most.
const MAX_FAULTS: usize = 1_000;

/// The journal of a run. Clones write to the same one.
#[derive(Clone, Debug)]
pub(crate) struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    began: Instant,
    lines: Mutex<Vec<String>>,
    wrong: Mutex<Vec<String>>,
}

impl Default for Journal {
    fn default() -> Self {
        Self(Arc::new(Inner { began: Instant::now(), lines: Mutex::default(), wrong: Mutex::default() }))
    }
}

impl Journal {
    /// Shows a line, with the time since the run began.
    pub(crate) fn say(&self, text: impl Display) {
        let line = format!("[{:6.1} s] {text}", self.0.began.elapsed().as_secs_f64());
        println!("{line}");
        let mut lines = hold(&self.0.lines);
        if lines.len() < MAX_LINES {
            lines.push(line);
        }
    }

    /// Notes something that must not be; the run fails.
    pub(crate) fn wrong(&self, text: impl Display) {
        self.say(format_args!("WRONG: {text}"));
        let mut wrong = hold(&self.0.wrong);
        if wrong.len() < MAX_FAULTS {
            wrong.push(text.to_string());
        }
    }

    /// All that was said.
    #[must_use]
    pub(crate) fn lines(&self) -> Vec<String> {
        hold(&self.0.lines).clone()
    }

    /// All that must not be.
    #[must_use]
    pub(crate) fn all_wrong(&self) -> Vec<String> {
        hold(&self.0.wrong).clone()
    }
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
