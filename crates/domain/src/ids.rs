//! Identifiers that are valid by construction.

use std::fmt;

/// The longest id, in bytes (contract §1).
pub const MAX_ID_BYTES: usize = 128;

/// Why a text cannot be an id. The text itself is not repeated: it is whatever a caller sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Nothing there.
    #[error("must not be empty")]
    Empty,
    /// Longer than [`MAX_ID_BYTES`].
    #[error("must be at most {MAX_ID_BYTES} bytes")]
    TooLong,
    /// It could not be one token of a NATS subject.
    #[error("must not contain white space, control characters, '.', '*' or '>'")]
    NotAToken,
}

/// An id is one token of a NATS subject: that is the only rule, beyond its length (contract §1).
fn check_token(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > MAX_ID_BYTES {
        return Err(InvalidId::TooLong);
    }
    let splits = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | '*' | '>');
    if text.contains(splits) { Err(InvalidId::NotAToken) } else { Ok(()) }
}

macro_rules! token_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as an id.
            ///
            /// # Errors
            /// [`InvalidId`] where the text is empty, over 128 bytes, or not one subject token.
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
    /// A submission's Convex id; a token of every subject that speaks of it.
    SubmissionId
}
token_id! {
    /// A question's Convex id.
    QuestionId
}

/// Which run of a submission: 1 is what the ingress took, and each rejudging is one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(u32);

impl Generation {
    /// What the ingress took.
    pub const FIRST: Self = Self(1);

    /// The generation of this number; there is none below 1.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        (number >= 1).then_some(Self(number))
    }

    /// Its number, from 1.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }

    /// The one after it.
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

/// One run of a submission, as subjects name it: `<id>` for the first generation, `<id>.<generation>` for the
/// others. An id has no '.', so the two forms cannot be taken for each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SubmissionKey {
    /// The submission.
    pub id: SubmissionId,
    /// Which run of it.
    pub generation: Generation,
}

impl SubmissionKey {
    /// The key that a subject's end names; nothing where no key is written so.
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

/// The id of one request, kept through the whole pipeline and echoed to the caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(String);

impl RequestId {
    /// Takes a caller's text where it can be a header value and a log field: 1 to 128 visible ASCII characters.
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

/// A Judge0 language id, the numbering that the Convex app uses (contract §4).
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
    fn an_id_is_one_subject_token() {
        assert!(SubmissionId::new("k97abc").is_ok());
        assert!(SubmissionId::new("ünï-1_2:3").is_ok());
        assert!(SubmissionId::new("a".repeat(128)).is_ok());
        assert_eq!(SubmissionId::new(""), Err(InvalidId::Empty));
        assert_eq!(SubmissionId::new("a".repeat(129)), Err(InvalidId::TooLong));
        for bad in ["a b", "a.b", "*", ">", "a\n", "a\u{0}", "a\u{a0}b", "\u{7f}"] {
            assert_eq!(SubmissionId::new(bad), Err(InvalidId::NotAToken), "{bad:?}");
        }
    }

    #[test]
    fn a_key_is_written_in_one_way_only() {
        let key = |id: &str, number| SubmissionKey {
            id: SubmissionId::new(id).unwrap(),
            generation: Generation::new(number).unwrap(),
        };
        for (key, text) in [(key("k97", 1), "k97"), (key("k97", 2), "k97.2"), (key("7", 10), "7.10")] {
            assert_eq!(key.to_string(), text);
            assert_eq!(SubmissionKey::parse(text), Some(key));
        }
        for foreign in
            ["", "k97.", ".2", "k97.1", "k97.0", "k97.02", "k97.+2", "k97.x", "k97.2.3", "k97.5000000000"]
        {
            assert_eq!(SubmissionKey::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_request_id_is_visible_ascii() {
        assert!(RequestId::new("3f0c-11").is_some());
        for bad in ["", "a b", "é", "a\r\nb", &"x".repeat(129)] {
            assert!(RequestId::new(bad).is_none(), "{bad:?}");
        }
    }
}
