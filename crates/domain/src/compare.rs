//! The comparison of a program's output with the expected output.
//!
//! The contract ("Judging semantics") defines it as five steps over both texts, with JavaScript's definitions of white
//! space and lower case. This implementation compares the texts line by line without copying them. The tests compare
//! it with a reference implementation that performs the five steps one after the other.

use std::borrow::Cow;

use crate::text::is_js_whitespace;

/// How a question compares outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Ignores white space at the end of the text and at the end of each line.
    pub trim_outputs: bool,
    /// Treats each run of spaces and tabs inside a line as one space.
    pub normalize_whitespace: bool,
    /// Distinguishes upper and lower case.
    pub case_sensitive: bool,
}

impl Comparison {
    /// Whether `actual` matches `expected`. Invalid UTF-8 is treated as U+FFFD, as in JavaScript's decoder.
    #[must_use]
    pub fn accepts(self, actual: &[u8], expected: &str) -> bool {
        if actual == expected.as_bytes() {
            return true;
        }
        // Outputs may be large, and correct outputs with invalid UTF-8 are rare: copies only if U+FFFD is expected.
        match std::str::from_utf8(actual) {
            Ok(actual) => self.matches_text(actual, expected),
            Err(_) => {
                expected.contains('\u{fffd}') && self.matches_text(&String::from_utf8_lossy(actual), expected)
            }
        }
    }

    fn matches_text(self, actual: &str, expected: &str) -> bool {
        let (mut actual, mut expected) = (self.lines(actual), self.lines(expected));
        loop {
            match (actual.next(), expected.next()) {
                (None, None) => return true,
                (Some(a), Some(b)) if a.has_newline == b.has_newline && self.matches_line(a.text, b.text) => {
                }
                _ => return false,
            }
        }
    }

    /// Steps 1 and 2: lines without their `\n` or `\r\n`, trimmed if `trim_outputs` is set.
    fn lines(self, text: &str) -> impl Iterator<Item = Line<'_>> {
        let text = if self.trim_outputs { text.trim_end_matches(is_js_whitespace) } else { text };
        text.split_inclusive('\n').map(move |line| {
            let (text, has_newline) = match line.strip_suffix('\n') {
                Some(rest) => (rest.strip_suffix('\r').unwrap_or(rest), true),
                None => (line, false),
            };
            let text = if self.trim_outputs { text.trim_end_matches(is_js_whitespace) } else { text };
            Line { text, has_newline }
        })
    }

    /// Steps 3 to 5 for one line.
    fn matches_line(self, a: &str, b: &str) -> bool {
        if a == b {
            return true;
        }
        if self.case_sensitive {
            return self.normalize_spaces(a).eq(self.normalize_spaces(b));
        }
        let (a, b) = (lower_sigmas(a), lower_sigmas(b));
        self.normalize_spaces(&a)
            .flat_map(char::to_lowercase)
            .eq(self.normalize_spaces(&b).flat_map(char::to_lowercase))
    }

    /// Step 3: each run of spaces and tabs becomes one space if `normalize_whitespace` is set.
    fn normalize_spaces(self, line: &str) -> impl Iterator<Item = char> {
        let mut in_run = false;
        line.chars().filter_map(move |c| {
            let is_blank = self.normalize_whitespace && matches!(c, ' ' | '\t');
            let is_repeated = is_blank && in_run;
            in_run = is_blank;
            (!is_repeated).then_some(if is_blank { ' ' } else { c })
        })
    }
}

struct Line<'a> {
    text: &'a str,
    /// Whether a line feed follows: `"a"` and `"a\n"` differ unless outputs are trimmed.
    has_newline: bool,
}

/// Converts a line with a capital sigma to lower case, because the lower case of sigma depends on its neighbours. All
/// other characters can be converted one by one, without a copy.
fn lower_sigmas(line: &str) -> Cow<'_, str> {
    if line.contains('Σ') { Cow::Owned(line.to_lowercase()) } else { Cow::Borrowed(line) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STRICT: Comparison =
        Comparison { trim_outputs: false, normalize_whitespace: false, case_sensitive: true };

    /// The five steps in the order of the contract, on copies of both texts.
    fn reference(rule: Comparison, actual: &str, expected: &str) -> bool {
        let normalized = |text: &str| {
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
        normalized(actual) == normalized(expected)
    }

    fn rules() -> impl Iterator<Item = Comparison> {
        (0..8).map(|bits| Comparison {
            trim_outputs: bits & 1 != 0,
            normalize_whitespace: bits & 2 != 0,
            case_sensitive: bits & 4 != 0,
        })
    }

    #[test]
    fn each_switch_works_alone() {
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
        for &(rule, actual, expected, matches) in cases {
            assert_eq!(
                rule.accepts(actual.as_bytes(), expected),
                matches,
                "{actual:?} {expected:?} {rule:?}"
            );
        }
    }

    #[test]
    fn all_switches_work_together() {
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

    /// Texts made of characters that the comparison treats specially.
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
        fn comparison_agrees_with_the_reference(a in tricky(), b in tricky()) {
            for rule in rules() {
                prop_assert_eq!(rule.accepts(a.as_bytes(), &b), reference(rule, &a, &b), "{:?}", rule);
            }
        }

        #[test]
        fn comparison_agrees_with_the_reference_on_similar_texts(a in tricky(), at in 0_usize..12, with in tricky()) {
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
