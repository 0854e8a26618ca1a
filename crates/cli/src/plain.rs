//! Texts of strangers on a terminal: ids, compilers' words and programs' outputs can hold anything, and must
//! steer nothing.

use std::fmt::Write as _;

use serde::Serialize;

/// Whether a character could steer a terminal, or make text look like another.
fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The text with such characters written out.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut plain, c| {
        if is_steering(c) {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
        plain
    })
}

/// The beginning of a text's first line that has anything, harmless.
pub(crate) fn headline(text: &str, most: usize) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let cut: String = line.chars().take(most).collect();
    let more = if cut.len() < line.len() { "…" } else { "" };
    format!("{}{more}", harmless(&cut))
}

/// One line of JSON. Its own escapes leave C1 controls as they are, which some terminals obey.
pub(crate) fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("our own values have a JSON form");
    text.chars().fold(String::with_capacity(text.len()), |mut plain, c| {
        if is_steering(c) {
            let _ = write!(plain, "\\u{:04x}", u32::from(c));
        } else {
            plain.push(c);
        }
        plain
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_steers_is_written_out() {
        assert_eq!(harmless("a\x1b[2Jb\u{9b}31m\u{202e}é"), "a\\u{1b}[2Jb\\u{9b}31m\\u{202e}é");
        assert_eq!(headline("\n  first line \nsecond", 8), "first li…");
        assert_eq!(json(&"\x1b\u{9b}\u{7f}é"), "\"\\u001b\\u009b\\u007fé\"");
    }

    proptest! {
        #[test]
        fn nothing_steers_and_json_stays_what_it_was(text in any::<String>()) {
            prop_assert!(!harmless(&text).chars().any(is_steering));
            let written = json(&text);
            prop_assert!(!written.chars().any(is_steering));
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        }
    }
}
