//! The fields of a submission, which every event carries.

use gavel_domain::{Generation, LanguageId, QuestionId, Submission, SubmissionId, SubmissionKind};

use crate::{DecodeError, v1};

pub(crate) fn submission_to(submission: &Submission) -> v1::Submission {
    let kind = match submission.kind {
        SubmissionKind::Standard => v1::Kind::Standard,
        SubmissionKind::Personalized => v1::Kind::Personalized,
    };
    v1::Submission {
        id: submission.id.to_string(),
        question_id: submission.question_id.to_string(),
        language_id: submission.language.0,
        kind: kind.into(),
        accepted_at_unix_ms: submission.accepted_at_ms,
        generation: if submission.generation == Generation::FIRST {
            0
        } else {
            submission.generation.number()
        },
    }
}

pub(crate) fn submission_from(wire: Option<v1::Submission>) -> Result<Submission, DecodeError> {
    let wire = wire.ok_or(DecodeError::Field("submission"))?;
    let kind = match wire.kind() {
        v1::Kind::Standard => SubmissionKind::Standard,
        v1::Kind::Personalized => SubmissionKind::Personalized,
        v1::Kind::Unspecified => return Err(DecodeError::Field("submission.kind")),
    };
    Ok(Submission {
        kind,
        id: SubmissionId::new(wire.id).map_err(|_| DecodeError::Field("submission.id"))?,
        question_id: QuestionId::new(wire.question_id)
            .map_err(|_| DecodeError::Field("submission.question_id"))?,
        language: LanguageId(wire.language_id),
        accepted_at_ms: wire.accepted_at_unix_ms,
        generation: Generation::new(wire.generation).unwrap_or(Generation::FIRST),
    })
}
