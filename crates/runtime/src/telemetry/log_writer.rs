//! One log event, one line. The log formatters escape most characters that could end a line or control a terminal,
//! but JSON leaves DEL and the 8-bit controls (U+0080 to U+009F) as they are, and the human format leaves newlines.
//! Both leave characters that are invisible or reverse the text after them. A subject or an error text of a library can
//! contain any of them.

use std::io::{self, Write};

use gavel_domain::text::is_unprintable;

/// Receives one event per write and passes it on with its unprintable characters replaced, except the final newline.
pub(crate) struct LineWriter<W> {
    inner: W,
    /// Whether the formatter writes colours, and so escape characters. It has escaped those in values.
    has_colours: bool,
}

impl<W: Write> LineWriter<W> {
    pub(crate) fn new(inner: W, has_colours: bool) -> Self {
        Self { inner, has_colours }
    }

    fn is_allowed(&self, c: char) -> bool {
        !is_unprintable(c) || (self.has_colours && c == '\u{1b}')
    }
}

impl<W: Write> Write for LineWriter<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        if line.chars().all(|c| self.is_allowed(c)) {
            self.inner.write_all(event)?;
        } else {
            let clean =
                line.chars().map(|c| if self.is_allowed(c) { c } else { char::REPLACEMENT_CHARACTER });
            self.inner.write_all((clean.collect::<String>() + "\n").as_bytes())?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(event: &str, has_colours: bool) -> String {
        let mut out = Vec::new();
        LineWriter::new(&mut out, has_colours).write_all(event.as_bytes()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn event_is_one_line_without_control_characters() {
        for (event, line) in [
            ("a plain line, with ü and 語\n", "a plain line, with ü and 語\n"),
            ("a\u{202e}b\u{200b}c\n", "a�b�c\n"),
            ("two\nlines\r\n", "two�lines�\n"),
            ("\u{9b}31m\u{7f}\u{1b}[2J\u{8}\t\0\n", "�31m��[2J���\n"),
        ] {
            assert_eq!(written(event, false), line);
        }
        assert_eq!(written("\u{1b}[32mINFO\u{1b}[0m \u{9b}2J\nx\n", true), "\u{1b}[32mINFO\u{1b}[0m �2J�x\n");
    }
}
