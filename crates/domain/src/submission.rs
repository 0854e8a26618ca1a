//! Submissions.

use crate::{Generation, LanguageId, QuestionId, SubmissionId, SubmissionKey};

/// The kind of a submission, which determines the Convex functions to call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SubmissionKind {
    /// A question of the course.
    #[default]
    Standard,
    /// A question made for one learner.
    Personalized,
}

impl SubmissionKind {
    /// The name of the kind in the app.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Personalized => "personalized",
        }
    }

    /// Returns the kind with this name in the app.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Standard, Self::Personalized].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// The facts about a submission that every stage needs, without its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The Convex id.
    pub id: SubmissionId,
    /// The question.
    pub question_id: QuestionId,
    /// The language of the program.
    pub language: LanguageId,
    /// The kind, which determines the Convex functions to call.
    pub kind: SubmissionKind,
    /// When the ingress accepted it, or it was rejudged, in milliseconds since the Unix epoch.
    pub accepted_at_ms: u64,
    /// The generation.
    pub generation: Generation,
}

impl Submission {
    /// The key of this generation in subjects.
    #[must_use]
    pub fn key(&self) -> SubmissionKey {
        SubmissionKey { id: self.id.clone(), generation: self.generation }
    }
}
