//! The output of a process: lines in memory, with a limit on their number and size.

use std::{
    collections::VecDeque,
    io,
    os::fd::OwnedFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{ioctl_fionread, read, retry_on_intr};
use serde_json::Value;
use tokio::sync::watch;

/// How many lines are kept.
const MAX_LINES: usize = 20_000;
/// How many bytes are kept.
const MAX_BYTES: usize = 16 << 20;
/// The number of bytes after which a line is split.
const MAX_LINE_BYTES: usize = 64 << 10;

/// A line of standard output or standard error, without its line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The text; bytes that are not UTF-8 are replaced.
    pub text: String,
}

impl LogLine {
    /// Whether the text contains `part`.
    #[must_use]
    pub fn contains(&self, part: &str) -> bool {
        self.text.contains(part)
    }

    /// The line as JSON, or `None` if it is not JSON.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.text).ok()
    }

    /// A value in a JSON line, by JSON pointer (`/fields/message`).
    #[must_use]
    pub fn field(&self, pointer: &str) -> Option<Value> {
        self.json()?.pointer_mut(pointer).map(Value::take)
    }
}

/// A position in a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

#[derive(Debug, Default)]
pub(super) struct Logs {
    kept: Mutex<Kept>,
    changes: watch::Sender<()>,
    pipes: Mutex<Vec<Arc<Pipe>>>,
}

/// An open pipe that a thread copies into the log.
#[derive(Debug)]
struct Pipe {
    file: OwnedFd,
    /// Locked from before bytes leave the pipe until they are in the log.
    copied: Mutex<Copied>,
    changes: Condvar,
}

#[derive(Debug, Default)]
struct Copied {
    bytes: u64,
    is_closed: bool,
    /// The start of a line whose end was not written yet.
    line: Vec<u8>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<LogLine>,
    bytes: usize,
    /// Lines dropped from the front.
    dropped: u64,
}

impl Logs {
    /// Copies a pipe into the log until it is closed, then decrements `open`.
    pub(super) fn follow(
        self: &Arc<Self>,
        pipe: impl Into<OwnedFd>,
        open: watch::Sender<u8>,
    ) -> io::Result<()> {
        let pipe = Arc::new(Pipe { file: pipe.into(), copied: Mutex::default(), changes: Condvar::new() });
        self.pipes().push(Arc::clone(&pipe));
        let logs = Arc::clone(self);
        let copy = move || {
            while pipe.copy_some(&logs) {}
            logs.pipes().retain(|other| !Arc::ptr_eq(other, &pipe));
            open.send_modify(|open| *open -= 1);
        };
        thread::Builder::new().name("testkit-log".into()).spawn(copy)?;
        Ok(())
    }

    /// Waits until all lines that are in the pipes now are in the log. Otherwise an event that the process published after
    /// them could reach a test first.
    fn catch_up(&self) {
        let pipes = self.pipes().clone();
        for pipe in pipes {
            pipe.catch_up();
        }
    }

    fn pipes(&self) -> MutexGuard<'_, Vec<Arc<Pipe>>> {
        self.pipes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lines_after(&self, mark: Mark) -> Vec<LogLine> {
        self.catch_up();
        let kept = self.kept();
        kept.lines.iter().skip(kept.index_of(mark)).cloned().collect()
    }

    pub(super) fn mark(&self) -> Mark {
        self.catch_up();
        self.kept().end()
    }

    /// The last lines, each preceded by a line end; empty if there are none.
    pub(super) fn tail(&self, count: usize) -> String {
        let kept = self.kept();
        let from = kept.lines.len().saturating_sub(count);
        kept.lines.iter().skip(from).flat_map(|line| ["\n    ", &line.text]).collect()
    }

    /// The first wanted line after the mark, among the lines written so far.
    pub(super) fn find_now(&self, mark: Mark, wanted: &mut impl FnMut(&LogLine) -> bool) -> Option<LogLine> {
        self.search(mark, wanted).ok()
    }

    /// Waits for the first wanted line after the mark.
    pub(super) async fn find(&self, mut mark: Mark, wanted: &mut impl FnMut(&LogLine) -> bool) -> LogLine {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            match self.search(mark, wanted) {
                Ok(line) => return line,
                Err(end) => mark = end,
            }
            changes.changed().await.expect("the sender lives in self");
        }
    }

    /// The wanted line, or the mark to continue from.
    fn search(&self, mark: Mark, wanted: &mut impl FnMut(&LogLine) -> bool) -> Result<LogLine, Mark> {
        let kept = self.kept();
        kept.lines
            .iter()
            .skip(kept.index_of(mark))
            .find(|line| wanted(line))
            .cloned()
            .ok_or_else(|| kept.end())
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

impl Pipe {
    /// Waits for bytes and copies them. Returns false once the pipe is closed; one that cannot be read counts as closed.
    fn copy_some(&self, logs: &Logs) -> bool {
        let is_ready = retry_on_intr(|| poll(&mut [PollFd::new(&self.file, PollFlags::IN)], None)).is_ok();
        let mut copied = self.copied();
        let mut buffer = [0; 16 << 10];
        let count = if is_ready { retry_on_intr(|| read(&self.file, &mut buffer)).unwrap_or(0) } else { 0 };
        for part in buffer[..count].split_inclusive(|byte| *byte == b'\n') {
            copied.line.extend_from_slice(part);
            if part.ends_with(b"\n") || copied.line.len() >= MAX_LINE_BYTES {
                logs.push(&std::mem::take(&mut copied.line));
            }
        }
        copied.is_closed = count == 0;
        if copied.is_closed && !copied.line.is_empty() {
            logs.push(&std::mem::take(&mut copied.line));
        }
        copied.bytes += count as u64;
        self.changes.notify_all();
        !copied.is_closed
    }

    fn catch_up(&self) {
        let copied = self.copied();
        let end = copied.bytes + ioctl_fionread(&self.file).unwrap_or(0);
        let is_behind = |copied: &mut Copied| copied.bytes < end && !copied.is_closed;
        drop(self.changes.wait_while(copied, is_behind).unwrap_or_else(PoisonError::into_inner));
    }

    fn copied(&self) -> MutexGuard<'_, Copied> {
        self.copied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// The index of a mark among the kept lines; 0 if its line was dropped.
    fn index_of(&self, mark: Mark) -> usize {
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
    fn marks_stay_valid_when_old_lines_are_dropped() {
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
    fn json_field_is_read_by_pointer() {
        let line = LogLine { text: r#"{"level":"INFO","fields":{"message":"ready"}}"#.to_owned() };
        assert_eq!(line.field("/fields/message"), Some("ready".into()));
        assert_eq!(line.field("/fields/port"), None);
        assert_eq!(LogLine { text: "plain".to_owned() }.json(), None);
    }
}
