//! Text rules of the Convex app: JavaScript's white space, newlines, and text fields of limited size.
//! And the characters that must not reach a terminal or a log as they are.

use std::fmt::Write as _;

/// The default size limit of a text field in a result, in bytes (contract §2: the app reads a user's whole history in one
/// transaction of 16 MiB).
pub const MAX_FIELD_BYTES: usize = 8 * 1024;

/// Whether JavaScript's `trimEnd` treats a character as white space (ECMAScript's `WhiteSpace` and `LineTerminator`).
///
/// It differs from Rust's `char::is_whitespace` for U+0085, which is not white space in JavaScript, and for U+FEFF,
/// which is.
#[must_use]
pub fn is_js_whitespace(c: char) -> bool {
    matches!(c, '\u{feff}') || (c.is_whitespace() && c != '\u{85}')
}

/// Whether a character is invisible, or changes how the text around it is shown: Unicode's
/// `Default_Ignorable_Code_Point` (zero-width characters, bidirectional controls, tags and so on), the line and paragraph
/// separators, and the controls of interlinear annotations.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character must not be shown as it is: a control character, or an invisible one.
#[must_use]
pub fn is_unprintable(c: char) -> bool {
    c.is_control() || is_invisible(c)
}

/// Escapes the unprintable characters of JSON on one line. Its value stays the same. JSON itself requires escapes only
/// for the control characters below U+0020.
#[must_use]
pub fn escape_json(json: String) -> String {
    let is_plain = json.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_plain || !json.contains(is_unprintable) {
        return json;
    }
    json.chars().fold(String::with_capacity(json.len()), |mut escaped, c| {
        if is_unprintable(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(escaped, "\\u{unit:04x}").expect("a String takes everything");
            }
        } else {
            escaped.push(c);
        }
        escaped
    })
}

/// The source of a program as all compilers and interpreters take it: without a byte order mark at the start, which some
/// editors write and some interpreters take for code, and with `\n` for `\r\n`.
#[must_use]
pub fn normalize_source(source: &str) -> String {
    normalize_newlines(source.strip_prefix('\u{feff}').unwrap_or(source))
}

/// Replaces `\r\n` by `\n`, as required for sources and inputs (contract, "Judging semantics").
#[must_use]
pub fn normalize_newlines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// Converts bytes to a text field. Replaces invalid UTF-8 by U+FFFD. Cuts a text that exceeds `max_bytes` at a character
/// boundary and appends a marker with the original length. The result never exceeds `max_bytes` if that is at least
/// 64, the room for the marker.
#[must_use]
pub fn truncate(bytes: &[u8], max_bytes: usize) -> String {
    // Replacing never shortens a text, so that no byte after `max_bytes` is needed. The margin keeps a character
    // complete that crosses the limit.
    let head = &bytes[..bytes.len().min(max_bytes + 4)];
    let text = String::from_utf8_lossy(head);
    if bytes.len() <= max_bytes && text.len() <= max_bytes {
        return text.into_owned();
    }
    let marker = format!("\n[cut: {} bytes in all]", bytes.len());
    let end = text.floor_char_boundary(max_bytes.saturating_sub(marker.len()));
    format!("{}{marker}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whitespace_matches_javascript() {
        // The complete list of ECMA-262 §12.2 and §12.3.
        let listed: Vec<char> =
            "\t\n\u{b}\u{c}\r \u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\
            \u{2006}\u{2007}\u{2008}\u{2009}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}\u{feff}"
                .chars()
                .collect();
        let accepted: Vec<char> = ('\0'..=char::MAX).filter(|&c| is_js_whitespace(c)).collect();
        assert_eq!(accepted, listed);
    }

    #[test]
    fn long_text_is_cut_at_a_character_boundary() {
        assert_eq!(truncate("grüß".as_bytes(), 100), "grüß");
        assert_eq!(truncate(b"a\xff\0b", 100), "a\u{fffd}\0b");
        let cut = truncate("é".repeat(100).as_bytes(), 101);
        assert_eq!(cut, format!("{}\n[cut: 200 bytes in all]", "é".repeat(38)));
    }

    #[test]
    fn invisible_characters_are_unprintable() {
        // Zero width, bidirectional, tags, fillers, separators and controls.
        for c in "\u{200b}\u{200d}\u{2060}\u{feff}\u{202e}\u{2066}\u{61c}\u{e0041}\u{3164}\u{ad}\u{2028}\u{9b}\u{7f}\n".chars() {
            assert!(is_unprintable(c), "{c:?}");
        }
        for c in "aé語א 🦀\u{301}\u{a0}".chars() {
            assert!(!is_unprintable(c), "{c:?}");
        }
    }

    #[test]
    fn escaped_json_has_the_same_value_in_ascii() {
        assert_eq!(
            escape_json("\"a\u{202e}\u{e0041}é\u{9b}\"".to_owned()),
            "\"a\\u202e\\udb40\\udc41é\\u009b\""
        );
    }

    #[test]
    fn only_crlf_is_replaced() {
        assert_eq!(normalize_newlines("a\r\nb\rc\n\r\r\n"), "a\nb\rc\n\r\n");
    }

    #[test]
    fn only_the_byte_order_mark_at_the_start_of_a_source_is_dropped() {
        assert_eq!(normalize_source("\u{feff}a\r\n\u{feff}b"), "a\n\u{feff}b");
        assert_eq!(normalize_source("\u{feff}\u{feff}a"), "\u{feff}a");
        assert_eq!(normalize_source("\u{feff}"), "");
    }

    proptest! {
        #[test]
        fn truncated_text_never_exceeds_its_limit(
            bytes in proptest::collection::vec(any::<u8>(), 0..600), max in 64_usize..300,
        ) {
            let text = truncate(&bytes, max);
            prop_assert!(text.len() <= max);
            prop_assert_eq!(text.contains("[cut: "), String::from_utf8_lossy(&bytes).len() > max);
        }
    }
}
