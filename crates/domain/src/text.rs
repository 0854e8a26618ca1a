//! Text as the Convex app knows it: JavaScript's white space, and fields of bounded size.

/// The default cap of one text field of a result, in bytes (contract §2: a document holds 1 MiB in all).
pub const MAX_FIELD_BYTES: usize = 64 * 1024;

/// White space as JavaScript's `trimEnd` has it: ECMAScript's `WhiteSpace` and `LineTerminator`.
///
/// It differs from Rust's `char::is_whitespace` in U+0085 (not white space there) and U+FEFF (white space
/// there).
#[must_use]
pub fn is_js_whitespace(c: char) -> bool {
    matches!(c, '\u{feff}') || (c.is_whitespace() && c != '\u{85}')
}

/// `\r\n` becomes `\n`, as in source and stdin before use (contract, "Judging semantics").
#[must_use]
pub fn normalize_newlines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// Makes a text field of any bytes: invalid UTF-8 is replaced by U+FFFD, and what goes over `max_bytes` is cut
/// at a character boundary and ends in a marker that says how long it was. The result never exceeds
/// `max_bytes`, as long as that leaves room for the marker (64 bytes).
#[must_use]
pub fn cap(bytes: &[u8], max_bytes: usize) -> String {
    // Replacing can only make text longer, so nothing past `max_bytes` can be needed; the margin keeps a
    // character whole that straddles the limit.
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
    fn whitespace_is_javascripts() {
        // The complete list of ECMA-262 §12.2 and §12.3.
        let listed: Vec<char> =
            "\t\n\u{b}\u{c}\r \u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\
            \u{2006}\u{2007}\u{2008}\u{2009}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}\u{feff}"
                .chars()
                .collect();
        let ours: Vec<char> = ('\0'..=char::MAX).filter(|&c| is_js_whitespace(c)).collect();
        assert_eq!(ours, listed);
    }

    #[test]
    fn short_text_is_kept_and_long_text_is_cut_at_a_character() {
        assert_eq!(cap("grüß".as_bytes(), 100), "grüß");
        assert_eq!(cap(b"a\xff\0b", 100), "a\u{fffd}\0b");
        let cut = cap("é".repeat(100).as_bytes(), 101);
        assert_eq!(cut, format!("{}\n[cut: 200 bytes in all]", "é".repeat(38)));
    }

    #[test]
    fn only_crlf_is_a_newline() {
        assert_eq!(normalize_newlines("a\r\nb\rc\n\r\r\n"), "a\nb\rc\n\r\n");
    }

    proptest! {
        #[test]
        fn a_capped_text_never_exceeds_its_limit(
            bytes in proptest::collection::vec(any::<u8>(), 0..600), max in 64_usize..300,
        ) {
            let text = cap(&bytes, max);
            prop_assert!(text.len() <= max);
            prop_assert_eq!(text.contains("[cut: "), String::from_utf8_lossy(&bytes).len() > max);
        }
    }
}
