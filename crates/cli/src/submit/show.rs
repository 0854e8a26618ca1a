//! Prints the steps of a submission as they happen: a line of text or of JSON for each. On a terminal, a line below
//! shows the elapsed time.

use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::Instant;

use gavel_convex::result_body;
use gavel_domain::event::Judged;
use gavel_proto::Event;
use serde_json::{Value, json};

use crate::output::first_line;

/// How much of the reason of a verdict is printed.
const MAX_REASON_CHARS: usize = 60;

pub(super) struct Show {
    id: String,
    json: bool,
    /// Whether a line below the steps shows the elapsed time.
    live: bool,
    began: Instant,
    current: String,
}

impl Show {
    pub(super) fn new(id: &str, json: bool) -> Self {
        let live = !json && stdout().is_terminal();
        Self { id: id.to_owned(), json, live, began: Instant::now(), current: "sent".to_owned() }
    }

    /// Prints a step; `event` is `None` if it cannot be decoded.
    pub(super) fn step(&mut self, name: &str, event: Option<&Event>) {
        let elapsed = self.began.elapsed().as_millis();
        let (step, detail) = event.map_or(("unreadable", String::new()), |event| (name, detail(event)));
        step.clone_into(&mut self.current);
        if self.json {
            let mut object = json!({ "event": step, "submissionId": self.id, "elapsedMs": elapsed });
            match event {
                Some(Event::Judged(judged)) => object["result"] = result(judged),
                Some(Event::DeadLetter(dead)) => {
                    object["stage"] = dead.stage.as_str().into();
                    object["cause"] = dead.cause.as_str().into();
                }
                _ => {}
            }
            print(&format!("{object}\n"));
        } else {
            self.clear();
            print(&format!("{} {step}{detail} ({elapsed} ms)\n", self.id));
        }
    }

    /// Updates the elapsed time.
    pub(super) fn tick(&self) {
        if self.live {
            let seconds = self.began.elapsed().as_secs_f32();
            print(&format!("{CLEAR}… {} {seconds:.1} s", self.current));
        }
    }

    fn clear(&self) {
        if self.live {
            print(CLEAR);
        }
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Moves to the start of the line and erases it (ECMA-48: CR, EL).
const CLEAR: &str = "\r\x1b[2K";

/// Returns the body of the result callback, as Convex receives it.
fn result(judged: &Judged) -> Value {
    serde_json::from_slice(&result_body(judged)).expect("the result body is JSON")
}

fn detail(event: &Event) -> String {
    match event {
        Event::DeadLetter(dead) => format!(" at the {}: {}", dead.stage.as_str(), dead.cause),
        Event::Judged(judged) => {
            let verdict = &judged.verdict;
            let counts = verdict.passed_count.zip(verdict.total_count);
            let counts = counts.map_or_else(String::new, |(passed, total)| format!(" {passed}/{total}"));
            let reason = verdict.first_failure.as_ref().map(|failure| &failure.error_message);
            let reason = reason.or(verdict.reason.as_ref()).filter(|text| !text.trim().is_empty());
            let reason = reason
                .map_or_else(String::new, |text| format!(" \"{}\"", first_line(text, MAX_REASON_CHARS)));
            format!(" {}{counts}{reason}", verdict.status.as_str())
        }
        Event::Waiting(waiting) => {
            let language = crate::event::Event::language_with_id(waiting.ready.submission.language.0);
            format!(" for a judge that serves {language}")
        }
        _ => String::new(),
    }
}

fn print(text: &str) {
    // Errors are ignored: if the reader has closed the pipe, the exit code still counts.
    let mut out = stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
