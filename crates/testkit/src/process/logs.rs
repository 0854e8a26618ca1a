//! What a process writes, line by line, in memory and within bounds.

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Read},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use serde_json::Value;
use tokio::sync::watch;

/// Lines kept.
const MAX_LINES: usize = 20_000;
/// Bytes kept.
const MAX_BYTES: usize = 16 << 20;
/// A line's length in bytes; what is longer is cut into several.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// A line of standard output or standard error, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The text; bytes that are not UTF-8 are replaced.
    pub text: String,
}

impl LogLine {
    /// Whether the text holds this.
    #[must_use]
    pub fn contains(&self, part: &str) -> bool {
        self.text.contains(part)
    }

    /// The line as JSON, if it is that.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.text).ok()
    }

    /// A value inside a JSON line, by pointer (`/fields/message`).
    #[must_use]
    pub fn field(&self, pointer: &str) -> Option<Value> {
        self.json()?.pointer_mut(pointer).map(Value::take)
    }
}

/// A place in a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

#[derive(Debug, Default)]
pub(super) struct Logs {
    kept: Mutex<Kept>,
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<LogLine>,
    bytes: usize,
    /// Lines dropped from the front.
    dropped: u64,
}

impl Logs {
    /// Copies a pipe into the log until it is closed, then counts it off.
    pub(super) fn follow(
        self: &Arc<Self>,
        pipe: impl Read + Send + 'static,
        open: watch::Sender<u8>,
    ) -> io::Result<()> {
        let logs = Arc::clone(self);
        let copy = move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            // A pipe that cannot be read is as good as closed.
            while (&mut pipe).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                logs.push(&line);
                line.clear();
            }
            open.send_modify(|open| *open -= 1);
        };
        thread::Builder::new().name("testkit-log".into()).spawn(copy)?;
        Ok(())
    }

    pub(super) fn lines_after(&self, mark: Mark) -> Vec<LogLine> {
        let kept = self.kept();
        kept.lines.iter().skip(kept.place(mark)).cloned().collect()
    }

    pub(super) fn mark(&self) -> Mark {
        self.kept().end()
    }

    /// The last lines, each on a line of its own, with a line end in front; empty if there are none.
    pub(super) fn tail(&self, count: usize) -> String {
        let kept = self.kept();
        let from = kept.lines.len().saturating_sub(count);
        kept.lines.iter().skip(from).flat_map(|line| ["\n    ", &line.text]).collect()
    }

    /// The first line from the mark on that is wanted, among those that are there.
    pub(super) fn find_now(&self, mark: Mark, wanted: &mut impl FnMut(&LogLine) -> bool) -> Option<LogLine> {
        self.look(mark, wanted).ok()
    }

    /// The same, as soon as it comes.
    pub(super) async fn find(&self, mut mark: Mark, wanted: &mut impl FnMut(&LogLine) -> bool) -> LogLine {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            match self.look(mark, wanted) {
                Ok(line) => return line,
                Err(end) => mark = end,
            }
            changes.changed().await.expect("the sender lives in self");
        }
    }

    /// The line, or where the next look shall start.
    fn look(&self, mark: Mark, wanted: &mut impl FnMut(&LogLine) -> bool) -> Result<LogLine, Mark> {
        let kept = self.kept();
        kept.lines.iter().skip(kept.place(mark)).find(|line| wanted(line)).cloned().ok_or_else(|| kept.end())
    }

    fn push(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let line = LogLine { text: line.trim_end_matches(['\r', '\n']).to_owned() };
        let mut kept = self.kept();
        kept.bytes += line.text.len();
        kept.lines.push_back(line);
        while kept.lines.len() > MAX_LINES || kept.bytes > MAX_BYTES {
            let oldest = kept.lines.pop_front().map_or(0, |line| line.text.len());
            kept.bytes -= oldest;
            kept.dropped += 1;
        }
        drop(kept);
        self.changes.send_replace(());
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// A mark's place among the kept lines; the first of them, if it is older.
    fn place(&self, mark: Mark) -> usize {
        usize::try_from(mark.0.saturating_sub(self.dropped)).unwrap_or(usize::MAX)
    }

    fn end(&self) -> Mark {
        Mark(self.dropped + self.lines.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_lines_go_and_marks_stay_right() {
        let logs = Logs::default();
        for number in 0..MAX_LINES {
            logs.push(format!("line {number}\r\n").as_bytes());
        }
        let mark = logs.mark();
        for number in 0..10 {
            logs.push(format!("later {number}\n").as_bytes());
        }
        assert_eq!(logs.lines_after(Mark::default()).len(), MAX_LINES);
        assert_eq!(logs.lines_after(Mark::default())[0].text, "line 10");
        assert_eq!(logs.find_now(mark, &mut |_| true).unwrap().text, "later 0");
        assert_eq!(logs.find_now(mark, &mut |line| line.contains("line")), None);
        assert_eq!(logs.tail(2), "\n    later 8\n    later 9");
    }

    #[test]
    fn a_json_line_is_asked_by_pointer() {
        let line = LogLine { text: r#"{"level":"INFO","fields":{"message":"ready"}}"#.to_owned() };
        assert_eq!(line.field("/fields/message"), Some("ready".into()));
        assert_eq!(line.field("/fields/port"), None);
        assert_eq!(LogLine { text: "plain".to_owned() }.json(), None);
    }
}
