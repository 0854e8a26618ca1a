//! The terminal on standard output: whether it shows colours, and its width.

use std::io::{self, IsTerminal as _};

/// Text is never wrapped to fewer columns than this.
const MIN_COLUMNS: usize = 20;

/// Whether to print colours: standard output is a terminal, and neither `NO_COLOR` nor `TERM=dumb` is set.
pub(crate) fn has_colours() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Returns the width of the terminal in columns, or `None` if standard output is not a terminal.
pub(crate) fn columns() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0))
}

/// Wraps text between words to fit into `columns`; continuation lines start with `indent` spaces. Without `columns` the
/// text stays on one line.
pub(crate) fn wrap(text: &str, indent: usize, columns: Option<usize>) -> String {
    let width = columns.map_or(usize::MAX, |columns| columns.saturating_sub(indent).max(MIN_COLUMNS));
    let (mut lines, mut line) = (String::new(), String::new());
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
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
    fn text_is_wrapped_between_words() {
        let text = "one two three four five six";
        assert_eq!(wrap(text, 2, Some(22)), "one two three four\n  five six");
        assert_eq!(wrap(text, 2, None), text);
        let long = "a-word-that-is-longer-than-any-line and more";
        assert_eq!(wrap(long, 1, Some(10)), "a-word-that-is-longer-than-any-line\n and more");
    }
}
