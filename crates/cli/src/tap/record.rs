//! Saved events: a file with the lines of `-o jsonl`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;

use serde_json::{Value, json};

use crate::event::Event;
use crate::exit;
use crate::exit::CommandError;
use crate::output;

/// A file that is being written. Each line is written at once, so that it is kept however the process ends.
pub(super) struct Record {
    file: File,
    name: String,
}

impl Record {
    pub(super) fn create(path: &Path) -> Result<Self, CommandError> {
        let name = path.display().to_string();
        match File::create(path) {
            Ok(file) => Ok(Self { file, name }),
            Err(error) => Err(CommandError::new(exit::CANNOT_WRITE, format!("cannot write {name}: {error}"))),
        }
    }

    pub(super) fn event(&mut self, event: &Event) -> Result<(), CommandError> {
        self.line(&output::json_line(event))
    }

    pub(super) fn notice(&mut self, sentence: &str) -> Result<(), CommandError> {
        self.line(&output::json_line(&json!({ "notice": sentence })))
    }

    fn line(&mut self, line: &str) -> Result<(), CommandError> {
        let written = self.file.write_all(format!("{line}\n").as_bytes());
        written.map_err(|error| {
            CommandError::new(exit::CANNOT_WRITE, format!("cannot write {}: {error}", self.name))
        })
    }
}

/// A line of a saved file.
pub(super) enum Entry {
    Event(Box<Event>),
    Notice(String),
}

/// Returns the lines of a saved file.
pub(super) fn load(path: &Path) -> Result<impl Iterator<Item = Result<Entry, CommandError>>, CommandError> {
    let name = path.display().to_string();
    let file = File::open(path)
        .map_err(|error| CommandError::new(exit::NOT_FOUND, format!("cannot read {name}: {error}")))?;
    let lines = BufReader::new(file).lines().enumerate();
    Ok(lines.map(move |(n, line)| {
        line.ok().and_then(|line| read(&line)).ok_or_else(|| {
            let n = n + 1;
            CommandError::new(
                exit::INVALID_DATA,
                format!(
                    "line {n} of {name} is not an event; --load reads files that --save or -o jsonl wrote"
                ),
            )
        })
    }))
}

fn read(line: &str) -> Option<Entry> {
    let value: Value = serde_json::from_str(line).ok()?;
    if let Some(notice) = value.get("notice") {
        return Some(Entry::Notice(notice.as_str()?.to_owned()));
    }
    // Every field is optional for serde, so any object would pass; events have a stage.
    value.get("stage")?;
    serde_json::from_value(value).ok().map(|event| Entry::Event(Box::new(event)))
}
