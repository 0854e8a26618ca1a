//! The ids of the calls, by which a receiver that checks signatures can drop repeats.
//!
//! Each try of one callback has the same id; another generation of a submission has others. The result that is told once more, because a `running` without an answer
//! may have been applied after it, is another callback: whoever dropped it as a repeat would stay on running.

use gavel_convex::callback_id;
use gavel_domain::SubmissionKey;

/// That a submission is running.
pub(crate) fn running(key: &SubmissionKey) -> String {
    callback_id("running", &key.to_string())
}

/// What came of a submission.
pub(crate) fn result(key: &SubmissionKey) -> String {
    callback_id("result", &key.to_string())
}

/// The same, after a `running` whose fate nobody knows.
pub(crate) fn last_word(key: &SubmissionKey) -> String {
    callback_id("last-word", &key.to_string())
}
