//! The ids of the callbacks, with which a receiver can drop repeated calls, and keep the order by kind and generation.
//!
//! All attempts of one callback share an id; each generation of a submission has its own. The final result, sent
//! again because a `running` call of unknown outcome may have been applied after the first one, is a callback with
//! a third id: a receiver that dropped it as a repeat would leave the submission on running.

use gavel_convex::callback_id;
use gavel_domain::SubmissionKey;

/// The id of the `running` callback.
pub(crate) fn running(key: &SubmissionKey) -> String {
    callback_id("running", &key.to_string())
}

/// The id of the result callback.
pub(crate) fn result(key: &SubmissionKey) -> String {
    callback_id("result", &key.to_string())
}

/// The id of the result callback that is sent again after a `running` call of unknown outcome.
pub(crate) fn final_result(key: &SubmissionKey) -> String {
    callback_id("last-word", &key.to_string())
}
