//! What is judged and what it means.
//!
//! Everything here is pure: no I/O, no clock, no random numbers, no runtime. Three kinds of result are kept
//! apart: an [`Execution`] says what a process did, a [`Verdict`] says what that means for the learner, and a
//! fault (an error type of whoever failed) is ours and never becomes a verdict other than [`Status::Error`].

pub mod catalogue;
pub mod compare;
pub mod engine;
pub mod error;
pub mod event;
pub mod heartbeat;
pub mod ids;
pub mod outcome;
pub mod question;
pub mod retry;
pub mod score;
pub mod secret;
pub mod submission;
pub mod text;
pub mod time;
pub mod verdict;

pub use compare::Comparison;
pub use ids::{Generation, LanguageId, QuestionId, RequestId, SubmissionId, SubmissionKey};
pub use outcome::{Clock, Execution, Outcome, OutputStream, Usage};
pub use question::{Limits, Question, TestCase, Visibility};
pub use retry::Backoff;
pub use score::Scorer;
pub use secret::Secret;
pub use submission::{Submission, SubmissionKind};
pub use verdict::{FirstFailure, Status, TestReport, Verdict};
