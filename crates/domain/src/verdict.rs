//! What a submission's runs mean for the learner.

use crate::{Outcome, Usage};

/// The three final words that the app knows (contract §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Every test passed.
    Passed,
    /// The program is at fault.
    Failed,
    /// We are at fault, or the question is; never the program.
    Error,
}

impl Status {
    /// The app's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Error => "error",
        }
    }
}

/// What the learner is shown of the first failing test. Hidden input and expected output are not in it: a
/// verdict is redacted where it is made (invariant 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstFailure {
    /// The test's place in the order of judging, from 0.
    pub index: u32,
    /// The test's input; public tests only.
    pub stdin: Option<String>,
    /// What the program wrote to standard output.
    pub actual_output: Option<String>,
    /// What it should have written; public tests only.
    pub expected_output: Option<String>,
    /// What went wrong, in a word or in the program's own.
    pub error_message: String,
}

/// How one test went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestReport {
    /// How the program ended.
    pub outcome: Outcome,
    /// What it cost.
    pub usage: Usage,
}

/// The one verdict of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The final word.
    pub status: Status,
    /// How many tests passed before the first failure; nothing where it is not known.
    pub passed_count: Option<u32>,
    /// How many tests the question has; nothing where it is not known.
    pub total_count: Option<u32>,
    /// The first failure, of a failed one.
    pub first_failure: Option<FirstFailure>,
    /// Standard error of a run-time error, or our reason for an error.
    pub stderr: Option<String>,
    /// The compiler's output, of a compile error.
    pub compile_output: Option<String>,
    /// The tests that ran, in order.
    pub tests: Vec<TestReport>,
    /// What compiled and ran it, such as "C++ (GCC) 12.2.0"; nothing where it did not come to that, or the engine
    /// does not say.
    pub toolchain: Option<String>,
}

impl Verdict {
    /// A fault of ours, or of the question's. The reason is shown as a plain sentence.
    #[must_use]
    pub fn error(reason: &str) -> Self {
        Self {
            status: Status::Error,
            passed_count: None,
            total_count: None,
            first_failure: None,
            stderr: Some(sentence(reason)),
            compile_output: None,
            tests: Vec::new(),
            toolchain: None,
        }
    }
}

/// A clause such as an error's text, as a sentence.
pub(crate) fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let capital = letters.next().into_iter().flat_map(char::to_uppercase);
    let end = if clause.ends_with(['.', '!', '?']) { "" } else { "." };
    capital.chain(letters).chain(end.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_sentence() {
        let verdict = Verdict::error("the question was not found");
        assert_eq!(verdict.stderr.as_deref(), Some("The question was not found."));
        assert_eq!(sentence("It is."), "It is.");
        assert_eq!(sentence(""), ".");
    }
}
