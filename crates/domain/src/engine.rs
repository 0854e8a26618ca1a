//! The engine vocabulary: the job that an engine runs, how far the job gets, and the faults that stop it.
//!
//! The sandbox and Judge0 both use it. What a program does is an [`Execution`]; an [`EngineFault`] is never the
//! program's doing.

use std::error::Error;
use std::ops::ControlFlow;
use std::time::Duration;

use crate::{Execution, LanguageId, Question};

/// A program to compile once and run on each test of a question.
pub struct Job<'a> {
    /// The language of the program.
    pub language: LanguageId,
    /// The source of the program, with `\n` as the only newline.
    pub source: &'a str,
    /// The limits and the test cases.
    pub question: &'a Question,
    /// The output limit of each stream, in bytes. An engine raises it for standard output to twice the expected
    /// output, and may have to lower it to its own limit.
    pub max_output_bytes: u64,
}

/// Receives the execution of each test, in the order of the tests, and decides whether the job continues.
pub type Observer<'a> = dyn FnMut(Execution) -> ControlFlow<()> + Send + 'a;

/// How far a job got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The tests ran, until the last one or until the observer stopped the job.
    Ran,
    /// The program did not compile. Holds the compiler's output.
    CompileError(Vec<u8>),
}

/// The cause of a fault, with its own sources.
pub type FaultSource = Box<dyn Error + Send + Sync>;

/// Why an engine could not finish a job. The program is never the reason.
#[derive(Debug, thiserror::Error)]
pub enum EngineFault {
    /// The job would fail in the same way on every attempt and every judge.
    #[error("{reason}")]
    Final {
        /// A clause for the learner, without advice to the operator.
        reason: String,
        /// The cause in the operator's terms, if it says more than `reason`.
        source: Option<FaultSource>,
    },
    /// The engine failed; another attempt may succeed.
    #[error(transparent)]
    Transient(FaultSource),
    /// The engine cannot take jobs now. This says nothing about the job and does not count as an attempt.
    #[error("the engine is unavailable")]
    Unavailable {
        /// How long to wait before the next attempt.
        retry_after: Duration,
        /// Why the engine is unavailable.
        source: FaultSource,
    },
}

impl EngineFault {
    /// All values of [`Self::label`].
    pub const LABELS: [&str; 3] = ["final", "passing", "unavailable"];

    /// The label value in metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Final { .. } => "final",
            Self::Transient(_) => "passing",
            Self::Unavailable { .. } => "unavailable",
        }
    }
}
