//! Text of others made safe for a terminal, and JSON on one line.
//!
//! Subjects, compiler messages and program output can hold any character. Control characters and invisible ones are
//! escaped, so that no text can steer the terminal or look different from what it is.

use gavel_domain::text::{escape_json, is_unprintable};
use serde::Serialize;

/// Returns the text with control characters and invisible ones escaped.
#[must_use]
pub fn escape_control(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        if is_unprintable(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
        escaped
    })
}

/// Returns the text with the same characters escaped, except for line ends.
pub fn escape_lines(text: &str) -> String {
    text.lines().map(escape_control).collect::<Vec<_>>().join("\n")
}

/// Returns the first line of the text that is not blank, escaped and cut to `max_chars`.
#[must_use]
pub fn first_line(text: &str, max_chars: usize) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let cut: String = line.chars().take(max_chars).collect();
    let ellipsis = if cut.len() < line.len() { "…" } else { "" };
    format!("{}{ellipsis}", escape_control(&cut))
}

/// Returns the value as one line of JSON, with unprintable characters escaped.
pub fn json_line(value: &impl Serialize) -> String {
    escape_json(serde_json::to_string(value).expect("our own values have a JSON form"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escape_control("a\x1b[2Jb\u{9b}31m\u{202e}é"), "a\\u{1b}[2Jb\\u{9b}31m\\u{202e}é");
        assert_eq!(escape_lines("a\x07\nb"), "a\\u{7}\nb");
        assert_eq!(first_line("\n  first line \nsecond", 8), "first li…");
        assert_eq!(json_line(&"\x1b\u{9b}\u{7f}é"), "\"\\u001b\\u009b\\u007fé\"");
    }

    proptest! {
        #[test]
        fn escaped_text_is_safe_and_json_keeps_its_value(text in any::<String>()) {
            prop_assert!(!escape_control(&text).chars().any(is_unprintable));
            let written = json_line(&text);
            prop_assert!(!written.chars().any(is_unprintable));
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        }
    }
}
