//! Whether what a program wrote is what was expected.
//!
//! The rule is the contract's ("Judging semantics"): five steps over both whole texts, with JavaScript's idea
//! of white space and lower case. Here both texts are walked line by line and neither is copied; the tests
//! hold the walk against a plain reference that does the five steps one after the other.

use std::borrow::Cow;

use crate::text::is_js_whitespace;

/// A question's three switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// White space at the end of the text, then of each line, is ignored.
    pub trim_outputs: bool,
    /// Each run of spaces and tabs inside a line counts as one space.
    pub normalize_whitespace: bool,
    /// Upper and lower case differ.
    pub case_sensitive: bool,
}

impl Comparison {
    /// Whether `actual` counts as `expected`. Invalid UTF-8 counts as U+FFFD, as it does where JavaScript
    /// decodes it.
    #[must_use]
    pub fn accepts(self, actual: &[u8], expected: &str) -> bool {
        if actual == expected.as_bytes() {
            return true;
        }
        // Texts of any size are usual, and invalid ones that are right are not: no copy of the whole before it
        // can only be needed.
        match std::str::from_utf8(actual) {
            Ok(actual) => self.same_text(actual, expected),
            Err(_) => {
                expected.contains('\u{fffd}') && self.same_text(&String::from_utf8_lossy(actual), expected)
            }
        }
    }

    fn same_text(self, actual: &str, expected: &str) -> bool {
        let (mut ours, mut theirs) = (self.lines(actual), self.lines(expected));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (Some(a), Some(b)) if a.ended == b.ended && self.same_line(a.text, b.text) => {}
                _ => return false,
            }
        }
    }

    /// Steps 1 and 2: lines without their `\n` or `\r\n`, trimmed where asked.
    fn lines(self, text: &str) -> impl Iterator<Item = Line<'_>> {
        let text = if self.trim_outputs { text.trim_end_matches(is_js_whitespace) } else { text };
        text.split_inclusive('\n').map(move |line| {
            let (text, ended) = match line.strip_suffix('\n') {
                Some(rest) => (rest.strip_suffix('\r').unwrap_or(rest), true),
                None => (line, false),
            };
            let text = if self.trim_outputs { text.trim_end_matches(is_js_whitespace) } else { text };
            Line { text, ended }
        })
    }

    /// Steps 3 to 5, for one line.
    fn same_line(self, a: &str, b: &str) -> bool {
        if a == b {
            return true;
        }
        if self.case_sensitive {
            return self.spaced(a).eq(self.spaced(b));
        }
        let (a, b) = (lower_sigmas(a), lower_sigmas(b));
        self.spaced(&a).flat_map(char::to_lowercase).eq(self.spaced(&b).flat_map(char::to_lowercase))
    }

    /// Step 3: each run of spaces and tabs as one space, where asked.
    fn spaced(self, line: &str) -> impl Iterator<Item = char> {
        let mut in_run = false;
        line.chars().filter_map(move |c| {
            let blank = self.normalize_whitespace && matches!(c, ' ' | '\t');
            let dropped = blank && in_run;
            in_run = blank;
            (!dropped).then_some(if blank { ' ' } else { c })
        })
    }
}

struct Line<'a> {
    text: &'a str,
    /// Whether a line feed followed: `"a"` and `"a\n"` differ unless trimmed.
    ended: bool,
}

/// Lower case is a matter of single characters but for the capital sigma, whose lower case depends on its
/// neighbours; only a line that has one is copied.
fn lower_sigmas(line: &str) -> Cow<'_, str> {
    if line.contains('Σ') { Cow::Owned(line.to_lowercase()) } else { Cow::Borrowed(line) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STRICT: Comparison =
        Comparison { trim_outputs: false, normalize_whitespace: false, case_sensitive: true };

    /// The five steps as the contract lists them, over whole copies.
    fn reference(rule: Comparison, actual: &str, expected: &str) -> bool {
        let normal = |text: &str| {
            let mut text = text.replace("\r\n", "\n");
            if rule.trim_outputs {
                text = text.trim_end_matches(is_js_whitespace).to_owned();
                let lines: Vec<_> = text.split('\n').map(|l| l.trim_end_matches(is_js_whitespace)).collect();
                text = lines.join("\n");
            }
            if rule.normalize_whitespace {
                while let Some(at) = text.find(['\t']) {
                    text.replace_range(at..=at, " ");
                }
                while text.contains("  ") {
                    text = text.replace("  ", " ");
                }
            }
            if rule.case_sensitive { text } else { text.to_lowercase() }
        };
        normal(actual) == normal(expected)
    }

    fn rules() -> impl Iterator<Item = Comparison> {
        (0..8).map(|bits| Comparison {
            trim_outputs: bits & 1 != 0,
            normalize_whitespace: bits & 2 != 0,
            case_sensitive: bits & 4 != 0,
        })
    }

    #[test]
    fn each_switch_alone() {
        let trim = Comparison { trim_outputs: true, ..STRICT };
        let spaces = Comparison { normalize_whitespace: true, ..STRICT };
        let fold = Comparison { case_sensitive: false, ..STRICT };
        let cases: &[(Comparison, &str, &str, bool)] = &[
            (STRICT, "3\r\n", "3\n", true),
            (STRICT, "3", "3\n", false),
            (STRICT, "a\rb", "a\nb", false),
            (trim, "3 \u{3000}\n\n\n", "3", true),
            (trim, "a \t\nb\u{feff}", "a\nb", true),
            (trim, "a\u{85}", "a", false),
            (trim, " a", "a", false),
            (trim, "a\n\nb", "a\nb", false),
            (trim, "\n\n", "", true),
            (spaces, "a \t  b", "a b", true),
            (spaces, "a b ", "a b", false),
            (spaces, "ab", "a b", false),
            (spaces, "a\u{a0}b", "a b", false),
            (fold, "ÄSΣ İ", "äsς i\u{307}", true),
            (fold, "ΑΣ ΑΣΑ", "ας ασα", true),
            (fold, "ΑΣ", "ασ", false),
            (fold, "yes\n", "YES", false),
        ];
        for &(rule, actual, expected, same) in cases {
            assert_eq!(rule.accepts(actual.as_bytes(), expected), same, "{actual:?} {expected:?} {rule:?}");
        }
    }

    #[test]
    fn all_switches_together() {
        let rule = Comparison { trim_outputs: true, normalize_whitespace: true, case_sensitive: false };
        assert!(rule.accepts(b"Hello \t  WORLD \r\nBye\r\n\r\n", "hello world\nbye"));
        assert!(!rule.accepts(b"hello  world\n\nbye", "hello world\nbye"));
    }

    #[test]
    fn invalid_utf8_counts_as_the_replacement_character() {
        assert!(STRICT.accepts(b"a\xff", "a\u{fffd}"));
        assert!(!STRICT.accepts(b"a\xff", "a"));
        let fold = Comparison { case_sensitive: false, ..STRICT };
        assert!(fold.accepts(b"A\xffB", "a\u{fffd}b"));
        assert!(!fold.accepts(b"A\xffB", "ab"));
    }

    /// Texts full of what the rule is about, and pairs that differ only in it.
    fn tricky() -> impl Strategy<Value = String> {
        proptest::collection::vec(
            prop::sample::select(vec![
                "a", "A", "b", "Σ", "σ", "ς", "İ", "ß", "\u{307}", "'", " ", "  ", "\t", "\n", "\r\n", "\r",
                "\u{a0}", "\u{feff}", "\u{85}", "\u{2028}", "\u{b}", "\u{fffd}",
            ]),
            0..12,
        )
        .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_reference(a in tricky(), b in tricky()) {
            for rule in rules() {
                prop_assert_eq!(rule.accepts(a.as_bytes(), &b), reference(rule, &a, &b), "{:?}", rule);
            }
        }

        #[test]
        fn it_agrees_with_the_reference_on_near_pairs(a in tricky(), at in 0_usize..12, with in tricky()) {
            let mut b: String = a.chars().take(at).collect();
            b.push_str(&with);
            b.extend(a.chars().skip(at));
            for rule in rules() {
                prop_assert_eq!(rule.accepts(a.as_bytes(), &b), reference(rule, &a, &b), "{:?}", rule);
                prop_assert_eq!(rule.accepts(b.as_bytes(), &a), reference(rule, &b, &a), "{:?}", rule);
            }
        }
    }
}
