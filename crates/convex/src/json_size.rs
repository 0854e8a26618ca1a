//! The size of a JSON text without its escapes, counted as the text arrives.

/// Counts the bytes of a JSON text, and an escape as one. So the count of a text is at most that of the text with its
/// strings decoded: JSON may write a byte with six (`\u0000`), and a limit on decoded text must not depend on that.
#[derive(Debug, Default)]
pub(crate) struct JsonSize {
    bytes: usize,
    escape: Escape,
}

#[derive(Clone, Copy, Debug, Default)]
enum Escape {
    #[default]
    None,
    /// After the backslash.
    Started,
    /// In `\uXXXX`, with this many digits left.
    Digits(u8),
}

impl JsonSize {
    /// Adds the next part of the text, and returns the count so far.
    pub(crate) fn add(&mut self, part: &[u8]) -> usize {
        for &byte in part {
            self.escape = match (self.escape, byte) {
                (Escape::None, b'\\') => Escape::Started,
                (Escape::Started, b'u') => Escape::Digits(4),
                (Escape::Digits(left @ 2..), _) => Escape::Digits(left - 1),
                _ => {
                    self.bytes += 1;
                    Escape::None
                }
            };
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_counts_as_one_byte_wherever_the_text_is_split() {
        let text = r#"{"a":"1\n\u0000\\\"é"}"#;
        let decoded = "{\"a\":\"1nu\\\"é\"}".len();
        for at in 0..=text.len() {
            let (first, second) = text.as_bytes().split_at(at);
            let mut size = JsonSize::default();
            size.add(first);
            assert_eq!(size.add(second), decoded, "{at}");
        }
    }
}
