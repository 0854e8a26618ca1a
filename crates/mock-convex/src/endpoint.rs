//! The six endpoints: the one table of their paths, kinds and id fields.

use std::fmt;

/// Which of the app's two sets of tables a question or submission is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubmissionKind {
    /// A question that is the same for every learner.
    Standard,
    /// A question made for one learner.
    Personalized,
}

impl SubmissionKind {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Personalized => "personalized",
        }
    }
}

/// The purpose of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Fetch a question with its test cases.
    TestCases,
    /// Report that a submission is being judged.
    Running,
    /// Report the verdict.
    Result,
}

/// One of the six endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The purpose of the call.
    pub purpose: Purpose,
    /// The tables that it works on.
    pub kind: SubmissionKind,
}

impl Endpoint {
    /// `/coding/testcases`
    pub const TEST_CASES: Self = Self { purpose: Purpose::TestCases, kind: SubmissionKind::Standard };
    /// `/coding/submission-running`
    pub const RUNNING: Self = Self { purpose: Purpose::Running, kind: SubmissionKind::Standard };
    /// `/coding/submission-result`
    pub const RESULT: Self = Self { purpose: Purpose::Result, kind: SubmissionKind::Standard };
    /// `/coding/personalized-testcases`
    pub const PERSONALIZED_TEST_CASES: Self =
        Self { purpose: Purpose::TestCases, kind: SubmissionKind::Personalized };
    /// `/coding/personalized-submission-running`
    pub const PERSONALIZED_RUNNING: Self =
        Self { purpose: Purpose::Running, kind: SubmissionKind::Personalized };
    /// `/coding/personalized-submission-result`
    pub const PERSONALIZED_RESULT: Self =
        Self { purpose: Purpose::Result, kind: SubmissionKind::Personalized };

    /// All six, the standard ones first.
    pub const ALL: [Self; 6] = [
        Self::TEST_CASES,
        Self::RUNNING,
        Self::RESULT,
        Self::PERSONALIZED_TEST_CASES,
        Self::PERSONALIZED_RUNNING,
        Self::PERSONALIZED_RESULT,
    ];

    /// The path below the base URL, with its leading slash.
    #[must_use]
    pub fn path(self) -> &'static str {
        match (self.kind, self.purpose) {
            (SubmissionKind::Standard, Purpose::TestCases) => "/coding/testcases",
            (SubmissionKind::Standard, Purpose::Running) => "/coding/submission-running",
            (SubmissionKind::Standard, Purpose::Result) => "/coding/submission-result",
            (SubmissionKind::Personalized, Purpose::TestCases) => "/coding/personalized-testcases",
            (SubmissionKind::Personalized, Purpose::Running) => "/coding/personalized-submission-running",
            (SubmissionKind::Personalized, Purpose::Result) => "/coding/personalized-submission-result",
        }
    }

    /// The field of the body with the id of the question or submission.
    #[must_use]
    pub fn id_field(self) -> &'static str {
        match self.purpose {
            Purpose::TestCases => "questionId",
            Purpose::Running | Purpose::Result => "submissionId",
        }
    }

    /// Its index in [`Endpoint::ALL`], for tables of counters.
    pub(crate) fn index(self) -> usize {
        let purpose = match self.purpose {
            Purpose::TestCases => 0,
            Purpose::Running => 1,
            Purpose::Result => 2,
        };
        match self.kind {
            SubmissionKind::Standard => purpose,
            SubmissionKind::Personalized => purpose + 3,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_matches_position_in_all() {
        for (index, endpoint) in Endpoint::ALL.into_iter().enumerate() {
            assert_eq!(endpoint.index(), index, "{endpoint}");
        }
    }
}
