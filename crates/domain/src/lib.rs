//! The domain of Gavel: submissions, questions, executions, verdicts and the events of the pipeline.
//!
//! The crate is pure: no I/O, no clock, no random numbers, no async runtime. It keeps three kinds of result apart. An
//! [`Execution`] is what a process did. A [`Verdict`] is what that means for the learner. A fault, such as an
//! [`engine::EngineFault`], is a failure of the system; it never leads to a verdict other than [`Status::Error`].

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
pub use score::{HiddenOutput, InvalidHiddenOutput, Scorer};
pub use secret::Secret;
pub use submission::{Submission, SubmissionKind};
pub use verdict::{FirstFailure, Status, TestReport, Verdict};
