//! The steps of a submission, as they happen: a line a step, with a live one below on a terminal, or one JSON
//! object a step.

use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::Instant;

use gavel_convex::result_body;
use gavel_domain::event::Judged;
use gavel_proto::Event;
use serde_json::{Value, json};

pub(super) struct Show {
    id: String,
    json: bool,
    /// Whether there is a line below the steps that tells how long the present one takes.
    live: bool,
    began: Instant,
    present: String,
}

impl Show {
    pub(super) fn new(id: &str, json: bool) -> Self {
        let live = !json && stdout().is_terminal();
        Self { id: id.to_owned(), json, live, began: Instant::now(), present: "sent".to_owned() }
    }

    /// Shows a step; `event` is `None` if it cannot be decoded.
    pub(super) fn step(&mut self, name: &str, event: Option<&Event>) {
        let elapsed = self.began.elapsed().as_millis();
        let (step, detail) = event.map_or(("unreadable", String::new()), |event| (name, detail(event)));
        step.clone_into(&mut self.present);
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
            say(&format!("{object}\n"));
        } else {
            self.clear();
            say(&format!("{} {step}{detail} ({elapsed} ms)\n", self.id));
        }
    }

    /// Shows that time goes by.
    pub(super) fn tick(&self) {
        if self.live {
            let seconds = self.began.elapsed().as_secs_f32();
            say(&format!("{CLEAR}… {} {seconds:.1} s", self.present));
        }
    }

    fn clear(&self) {
        if self.live {
            say(CLEAR);
        }
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        self.clear();
    }
}

/// To the start of the line, and the line empty (ECMA-48: CR, EL).
const CLEAR: &str = "\r\x1b[2K";

/// The callback's body as Convex gets it.
fn result(judged: &Judged) -> Value {
    serde_json::from_slice(&result_body(judged)).expect("our own JSON can be read")
}

fn detail(event: &Event) -> String {
    match event {
        Event::DeadLetter(dead) => format!(" at the {}: {}", dead.stage.as_str(), dead.cause),
        Event::Judged(judged) => {
            let verdict = &judged.verdict;
            let counts = verdict.passed_count.zip(verdict.total_count);
            let counts = counts.map_or_else(String::new, |(passed, total)| format!(" {passed}/{total}"));
            let reason = verdict.first_failure.as_ref().map(|failure| &failure.error_message);
            let first_line = reason.or(verdict.stderr.as_ref()).and_then(|text| text.lines().next());
            let reason = first_line.map_or_else(String::new, |line| format!(" \"{}\"", escape_control(line)));
            format!(" {}{counts}{reason}", verdict.status.as_str())
        }
        _ => String::new(),
    }
}

/// The beginning of a program's own words, without what could steer the terminal.
fn escape_control(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(60).collect()
}

fn say(text: &str) {
    // Whoever reads us may have gone away; the exit code still tells.
    let mut out = stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
