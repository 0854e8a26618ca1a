//! A submission as the ingress accepted it.

use crate::{Generation, LanguageId, QuestionId, SubmissionId, SubmissionKey};

/// Which set of Convex functions a submission belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SubmissionKind {
    /// A question of the course.
    #[default]
    Standard,
    /// A question made for one learner.
    Personalized,
}

impl SubmissionKind {
    /// The word that the app uses for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Personalized => "personalized",
        }
    }

    /// The kind that the app's word names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Standard, Self::Personalized].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What every stage needs to know of a submission, its source aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Its Convex id.
    pub id: SubmissionId,
    /// The question that it answers.
    pub question_id: QuestionId,
    /// The language that it is written in.
    pub language: LanguageId,
    /// Which Convex functions it belongs to.
    pub kind: SubmissionKind,
    /// When the ingress accepted it, or it was rejudged, in milliseconds since the Unix epoch.
    pub accepted_at_ms: u64,
    /// Which run of it this is.
    pub generation: Generation,
}

impl Submission {
    /// What subjects call this run of it.
    #[must_use]
    pub fn key(&self) -> SubmissionKey {
        SubmissionKey { id: self.id.clone(), generation: self.generation }
    }
}
