//! Blank programs. Judge0 refuses them (recorded: `source_code` "can't be blank"); the sandbox judges them like any other
//! program. A comment makes the source acceptable and changes nothing else.

use std::borrow::Cow;

use gavel_domain::{LanguageId, catalogue};

/// Returns the source to send: the program itself, or a blank program with a comment. `None` if the program is blank and
/// the language has no known comment.
pub(crate) fn source_to_send(language: LanguageId, source: &str) -> Option<Cow<'_, str>> {
    // Judge0's definition of blank, too: nothing but Unicode's white space.
    if !source.trim().is_empty() {
        return Some(Cow::Borrowed(source));
    }
    comment(language).map(|comment| Cow::Owned(format!("{comment}\n{source}")))
}

/// A line that does nothing in a language.
fn comment(language: LanguageId) -> Option<&'static str> {
    let (name, _version) = catalogue::name(language)?.split_once(" (")?;
    Some(match name {
        "Bash" | "Crystal" | "Elixir" | "Octave" | "Perl" | "Python" | "R" | "Ruby" => "#",
        "C" | "C++" | "C#" | "D" | "Dart" | "F#" | "Go" | "Groovy" | "Java" | "JavaFX" | "JavaScript"
        | "Kotlin" | "Objective-C" | "Pascal" | "Rust" | "Scala" | "Swift" | "TypeScript" => "//",
        "Haskell" | "Lua" | "SQL" => "--",
        "Assembly" | "Clojure" | "Common Lisp" => ";",
        "Erlang" | "Prolog" => "%",
        "Basic" | "Visual Basic.Net" => "'",
        "COBOL" => "*>",
        "Fortran" => "!",
        "OCaml" => "(* *)",
        // PHP prints what is outside of its tags, without the newline after the closing one.
        "PHP" => "<?php ?>",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blank_sources_get_a_comment() {
        let sent = |id, source| source_to_send(LanguageId(id), source);
        assert_eq!(sent(71, "print(1)\n").as_deref(), Some("print(1)\n"));
        assert_eq!(sent(71, "").as_deref(), Some("#\n"));
        assert_eq!(sent(54, " \n\t\n").as_deref(), Some("//\n \n\t\n"));
        assert_eq!(
            sent(68, "\u{a0}\u{2028}").as_deref(),
            Some("<?php ?>\n\u{a0}\u{2028}"),
            "Unicode's white space"
        );
        assert_eq!(sent(43, "\n"), None);
        assert_eq!(sent(43, "x").as_deref(), Some("x"));
    }

    /// The languages that the app offers.
    #[test]
    fn offered_languages_have_a_comment() {
        for id in [71, 70, 63, 74, 62, 54, 52, 50, 51, 72, 73, 60, 78, 68, 83, 61] {
            assert!(comment(LanguageId(id)).is_some(), "{id}");
        }
    }
}
