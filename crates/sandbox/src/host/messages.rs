//! What is changed in the output of a program before anyone sees it.

/// The UTF-8 encoding of U+FEFF.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// The directory of the program, which interpreters put in front of the name of the source.
const PROGRAM_DIR: &[u8] = b"/box/program/";

/// Removes the directory of the program: messages name `main.py`, as the compilers' messages name `main.cpp`.
pub(crate) fn without_program_dir(stderr: Vec<u8>) -> Vec<u8> {
    without(stderr, PROGRAM_DIR)
}

/// Removes byte order marks from standard output, of which `matched` is what matched the expected output and `rest` what
/// follows. Marks that match the expected output stay. Returns how many bytes still match.
pub(crate) fn drop_byte_order_marks(matched: &[u8], rest: &mut Vec<u8>) -> usize {
    // The first bytes of a mark match if the expected output has another character there that begins with them.
    let begun = (1..BYTE_ORDER_MARK.len()).rev().find(|&begun| {
        let (head, tail) = BYTE_ORDER_MARK.split_at(begun);
        matched.ends_with(head) && rest.starts_with(tail)
    });
    if let Some(begun) = begun {
        rest.drain(..BYTE_ORDER_MARK.len() - begun);
    }
    *rest = without(std::mem::take(rest), BYTE_ORDER_MARK);
    matched.len() - begun.unwrap_or(0)
}

/// Removes every occurrence of `part`.
fn without(mut bytes: Vec<u8>, part: &[u8]) -> Vec<u8> {
    let (mut read, mut written) = (0, 0);
    while read < bytes.len() {
        if bytes[read..].starts_with(part) {
            read += part.len();
        } else {
            bytes[written] = bytes[read];
            (read, written) = (read + 1, written + 1);
        }
    }
    bytes.truncate(written);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_source_without_its_directory() {
        let shown = |text: &str| String::from_utf8(without_program_dir(text.into())).unwrap();
        assert_eq!(shown("  File \"/box/program/main.py\", line 1\n"), "  File \"main.py\", line 1\n");
        assert_eq!(shown("/box/program/main.js:1\n/box/program/main.js:2"), "main.js:1\nmain.js:2");
        assert_eq!(shown("/box/work/program /box/program"), "/box/work/program /box/program");
        assert_eq!(shown(""), "");
    }

    #[test]
    fn only_marks_that_do_not_match_are_dropped() {
        let left = |matched: &[u8], rest: &[u8]| {
            let mut rest = rest.to_vec();
            (drop_byte_order_marks(matched, &mut rest), rest)
        };
        assert_eq!(left(b"", b"\xef\xbb\xbfa\n\xef\xbb\xbfb"), (0, b"a\nb".to_vec()));
        assert_eq!(left(b"\xef\xbb\xbfa", b""), (4, Vec::new()));
        assert_eq!(left(b"a", b"b"), (1, b"b".to_vec()));
        // The expected output continues with U+FEFB, whose first two bytes are those of a mark.
        assert_eq!(left(b"a\xef\xbb", b"\xbf\xef\xbb\xbb"), (1, b"\xef\xbb\xbb".to_vec()));
        assert_eq!(left(b"a\xef", b"\xbb\xbf\xef\xbb\xbb"), (1, b"\xef\xbb\xbb".to_vec()));
    }
}
