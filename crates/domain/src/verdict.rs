//! The verdict on a submission, as the learner sees it.

use crate::{Outcome, Usage};

/// The final status of a submission (contract §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The program passed every test.
    Passed,
    /// The program failed.
    Failed,
    /// The system or the question is at fault, never the program.
    Error,
}

impl Status {
    /// The name of the status in the app.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Error => "error",
        }
    }
}

/// The first failing test, as the learner sees it. It never contains hidden input or hidden expected output, because
/// verdicts are redacted when they are made (invariant 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstFailure {
    /// The index of the test in the order of judging, from 0.
    pub index: u32,
    /// The input of the test. Public tests only.
    pub stdin: Option<String>,
    /// The standard output of the program.
    pub actual_output: Option<String>,
    /// The expected output. Public tests only.
    pub expected_output: Option<String>,
    /// What went wrong: a short message or the program's standard error.
    pub error_message: String,
}

/// The outcome of one test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestReport {
    /// How the program ended.
    pub outcome: Outcome,
    /// The resources that it used.
    pub usage: Usage,
}

/// The verdict on a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The final status.
    pub status: Status,
    /// How many tests passed before the first failure. `None` if it is not known.
    pub passed_count: Option<u32>,
    /// How many tests the question has. `None` if it is not known.
    pub total_count: Option<u32>,
    /// The first failing test, if the status is `Failed`.
    pub first_failure: Option<FirstFailure>,
    /// Why the submission could not be judged, as a sentence for the learner, if the status is `Error`.
    pub reason: Option<String>,
    /// Standard error of a run-time error.
    pub stderr: Option<String>,
    /// The compiler's output if the program did not compile.
    pub compile_output: Option<String>,
    /// The tests that ran, in order.
    pub tests: Vec<TestReport>,
    /// The toolchain that compiled and ran the program, such as "C++ (GCC) 12.2.0". `None` if the program did not run or
    /// the engine does not report it.
    pub toolchain: Option<String>,
}

impl Verdict {
    /// Creates the verdict for a fault of the system or of the question. The learner sees the reason as a sentence.
    #[must_use]
    pub fn error(reason: &str) -> Self {
        Self {
            status: Status::Error,
            passed_count: None,
            total_count: None,
            first_failure: None,
            reason: Some(sentence(reason)),
            stderr: None,
            compile_output: None,
            tests: Vec::new(),
            toolchain: None,
        }
    }
}

/// Turns a clause, such as the text of an error, into a sentence.
pub(crate) fn sentence(clause: &str) -> String {
    let mut characters = clause.chars();
    let capital = characters.next().into_iter().flat_map(char::to_uppercase);
    let end = if clause.ends_with(['.', '!', '?']) { "" } else { "." };
    capital.chain(characters).chain(end.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_becomes_a_sentence() {
        let verdict = Verdict::error("the question was not found");
        assert_eq!(verdict.reason.as_deref(), Some("The question was not found."));
        assert_eq!(sentence("It is."), "It is.");
        assert_eq!(sentence(""), ".");
    }
}
