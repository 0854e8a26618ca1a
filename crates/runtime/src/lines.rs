//! Log lines that stay lines. The formatters escape most of what could end a line or steer a terminal, but JSON leaves
//! DEL and the 8-bit controls (U+0080 to U+009F) as they are, and the form for people leaves line ends; a subject or a
//! library's message may hold any of them.

use std::io::{self, Write};

/// Takes one event at a time, as the subscriber writes them, and passes it on without control characters but for the
/// line end that closes it.
pub(crate) struct Lines<W> {
    to: W,
    /// Whether the formatter colours, and so writes escapes of its own. Those in values it has escaped.
    has_colours: bool,
}

impl<W: Write> Lines<W> {
    pub(crate) fn new(to: W, has_colours: bool) -> Self {
        Self { to, has_colours }
    }

    fn is_plain(&self, c: char) -> bool {
        !c.is_control() || (self.has_colours && c == '\u{1b}')
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        if line.chars().all(|c| self.is_plain(c)) {
            self.to.write_all(event)?;
        } else {
            let plain = line.chars().map(|c| if self.is_plain(c) { c } else { char::REPLACEMENT_CHARACTER });
            self.to.write_all((plain.collect::<String>() + "\n").as_bytes())?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(event: &str, has_colours: bool) -> String {
        let mut out = Vec::new();
        Lines::new(&mut out, has_colours).write_all(event.as_bytes()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_event_is_one_line_without_controls() {
        for (event, line) in [
            ("a plain line, with ü and 語\n", "a plain line, with ü and 語\n"),
            ("two\nlines\r\n", "two�lines�\n"),
            ("\u{9b}31m\u{7f}\u{1b}[2J\u{8}\t\0\n", "�31m��[2J���\n"),
        ] {
            assert_eq!(written(event, false), line);
        }
        assert_eq!(written("\u{1b}[32mINFO\u{1b}[0m \u{9b}2J\nx\n", true), "\u{1b}[32mINFO\u{1b}[0m �2J�x\n");
    }
}
