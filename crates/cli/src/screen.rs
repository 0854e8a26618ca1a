//! The terminal that a command writes to, if it is one: its colours and its width.

use std::io::{self, IsTerminal as _};

/// The least room that a text is wrapped into.
const LEAST: usize = 20;

/// Whether standard output is a terminal that is to have colours.
pub(crate) fn colours() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

/// The columns of the terminal; nothing where it is none.
pub(crate) fn columns() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0))
}

/// The text in lines that end between words and begin with so many spaces, within these columns. Where nobody says
/// how wide it may be, it is one line.
pub(crate) fn wrapped(text: &str, indent: usize, columns: Option<usize>) -> String {
    let room = columns.map_or(usize::MAX, |columns| columns.saturating_sub(indent).max(LEAST));
    let (mut lines, mut line) = (String::new(), String::new());
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            lines.push_str(&line);
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            line.clear();
        } else if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines + &line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_between_words() {
        let text = "one two three four five six";
        assert_eq!(wrapped(text, 2, Some(22)), "one two three four\n  five six");
        assert_eq!(wrapped(text, 2, None), text);
        let long = "a-word-that-is-longer-than-any-line and more";
        assert_eq!(wrapped(long, 1, Some(10)), "a-word-that-is-longer-than-any-line\n and more");
    }
}
