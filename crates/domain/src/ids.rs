//! Identifiers, validated when they are created.

use std::fmt;

use crate::text::is_unprintable;

/// The maximum length of an id, in bytes (contract §1).
pub const MAX_ID_BYTES: usize = 128;

/// Why a text is not a valid id. The message does not repeat the text, which a caller controls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The text is longer than [`MAX_ID_BYTES`].
    #[error("must be at most {MAX_ID_BYTES} bytes")]
    TooLong,
    /// The text is not one token of a NATS subject, or does not look like what it is.
    #[error("must not contain white space, control characters, invisible characters, '.', '*' or '>'")]
    NotAToken,
}

/// Checks the only rules for an id: its length, that it is one token of a NATS subject (contract §1), and that it has no
/// characters with which it could look like another id in a log or on a terminal.
fn check_token(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > MAX_ID_BYTES {
        return Err(InvalidId::TooLong);
    }
    let is_forbidden = |c: char| c.is_whitespace() || is_unprintable(c) || matches!(c, '.' | '*' | '>');
    if text.contains(is_forbidden) { Err(InvalidId::NotAToken) } else { Ok(()) }
}

macro_rules! token_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Creates an id.
            ///
            /// # Errors
            /// Returns an error if the text is empty, longer than 128 bytes, or not one token of a NATS subject.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                check_token(&text).map(|()| Self(text))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

token_id! {
    /// The Convex id of a submission. It is a token of the subjects of its events.
    SubmissionId
}
token_id! {
    /// The Convex id of a question.
    QuestionId
}

/// The generation of a submission: 1 as accepted by the ingress, and one more for each rejudging.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(u32);

impl Generation {
    /// The generation that the ingress accepted.
    pub const FIRST: Self = Self(1);

    /// Returns the generation with this number, or `None` if it is 0.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        (number >= 1).then_some(Self(number))
    }

    /// The number of the generation, from 1.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }

    /// Returns the next generation.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A generation of a submission, as it appears in subjects: `<id>` for the first generation, `<id>.<generation>` for
/// the others. The two forms cannot be confused because an id does not contain '.'.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SubmissionKey {
    /// The submission.
    pub id: SubmissionId,
    /// The generation.
    pub generation: Generation,
}

impl SubmissionKey {
    /// Parses the end of a subject. Returns `None` if it is not the canonical form of a key.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, generation) = match text.split_once('.') {
            None => (text, Generation::FIRST),
            Some((id, number)) => (id, Generation::new(number.parse().ok()?)?),
        };
        let key = Self { id: SubmissionId::new(id).ok()?, generation };
        (key.to_string() == text).then_some(key)
    }
}

impl fmt::Display for SubmissionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, generation } = self;
        if *generation == Generation::FIRST { id.fmt(f) } else { write!(f, "{id}.{generation}") }
    }
}

/// The id of a request. It passes through the whole pipeline and is returned to the caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(String);

impl RequestId {
    /// Creates an id from a caller's text. Returns `None` unless it has 1 to 128 visible ASCII characters, so that it is
    /// safe as a header value and a log field.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A Judge0 language id, as used by the Convex app (contract §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LanguageId(pub u32);

impl fmt::Display for LanguageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_one_subject_token() {
        assert!(SubmissionId::new("k97abc").is_ok());
        assert!(SubmissionId::new("ünï-1_2:3").is_ok());
        assert!(SubmissionId::new("a".repeat(128)).is_ok());
        assert_eq!(SubmissionId::new(""), Err(InvalidId::Empty));
        assert_eq!(SubmissionId::new("a".repeat(129)), Err(InvalidId::TooLong));
        for bad in [
            "a b",
            "a.b",
            "*",
            ">",
            "a\n",
            "a\u{0}",
            "a\u{a0}b",
            "\u{7f}",
            "a\u{200b}b",
            "\u{202e}a",
            "a\u{feff}",
            "a\u{e0041}",
        ] {
            assert_eq!(SubmissionId::new(bad), Err(InvalidId::NotAToken), "{bad:?}");
        }
    }

    #[test]
    fn key_has_exactly_one_form() {
        let key = |id: &str, number| SubmissionKey {
            id: SubmissionId::new(id).unwrap(),
            generation: Generation::new(number).unwrap(),
        };
        for (key, text) in [(key("k97", 1), "k97"), (key("k97", 2), "k97.2"), (key("7", 10), "7.10")] {
            assert_eq!(key.to_string(), text);
            assert_eq!(SubmissionKey::parse(text), Some(key));
        }
        for invalid in
            ["", "k97.", ".2", "k97.1", "k97.0", "k97.02", "k97.+2", "k97.x", "k97.2.3", "k97.5000000000"]
        {
            assert_eq!(SubmissionKey::parse(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn request_id_is_visible_ascii() {
        assert!(RequestId::new("3f0c-11").is_some());
        for bad in ["", "a b", "é", "a\r\nb", &"x".repeat(129)] {
            assert!(RequestId::new(bad).is_none(), "{bad:?}");
        }
    }
}
