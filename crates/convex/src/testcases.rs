//! A question's test cases, as Convex has them.

use gavel_domain::question::InvalidLimits;
use gavel_domain::{
    Comparison, Limits, Question, QuestionId, RequestId, SubmissionKind, TestCase, Visibility,
};
use serde::{Deserialize, Serialize};

use crate::call::{CallError, measured, word};
use crate::client::{Convex, is_page, read_up_to, refusal, to_json};
use crate::in_flight::Slot;
use crate::sign::callback_id;

/// What a question may be at most.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// Test cases.
    pub tests: usize,
    /// Bytes of the whole answer.
    pub bytes: usize,
}

/// Why there are no test cases. Only [`FetchError::Call`] is worth another try.
///
/// No variant repeats what the answer holds: test data must not reach logs or results.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// 404.
    #[error("the question was not found")]
    NotFound,
    /// 400.
    #[error("Convex refused the question's id")]
    BadId,
    /// An empty list.
    #[error("the question has no test cases")]
    NoTests,
    /// More than `MAX_TESTCASES`.
    #[error("the question has {count} test cases, more than the {max} that are allowed")]
    TooMany {
        /// How many it has.
        count: usize,
        /// How many it may have.
        max: usize,
    },
    /// More than `MAX_BUNDLE_BYTES`.
    #[error("the question's test cases are larger than the {max} bytes that are allowed")]
    TooLarge {
        /// How many bytes the answer may have.
        max: usize,
    },
    /// Not the JSON of the contract.
    #[error("the question's test cases are malformed (line {line}, column {column} of Convex's answer)")]
    Malformed {
        /// Where it stops making sense.
        line: usize,
        /// Where it stops making sense.
        column: usize,
    },
    /// Limits that make no sense.
    #[error("the question cannot be used")]
    Limits(#[from] InvalidLimits),
    /// The call failed; another may not.
    #[error("the test cases cannot be fetched")]
    Call(#[from] CallError),
}

impl FetchError {
    /// The word for figures.
    fn word(&self) -> &'static str {
        match self {
            Self::Call(error) => word(error),
            Self::NotFound => "not_found",
            Self::BadId => "refused",
            Self::NoTests
            | Self::TooMany { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::Limits(_) => "unusable",
        }
    }
}

#[derive(Serialize)]
struct Request<'a> {
    #[serde(rename = "questionId")]
    question_id: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    question: AnsweredQuestion,
    test_cases: Vec<AnsweredTest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnsweredQuestion {
    time_limit_seconds: f64,
    memory_limit_mb: f64,
    output_comparison: AnsweredComparison,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnsweredComparison {
    trim_outputs: bool,
    normalize_whitespace: bool,
    case_sensitive: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnsweredTest {
    visibility: AnsweredVisibility,
    stdin: String,
    expected_stdout: String,
    order: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum AnsweredVisibility {
    Public,
    Hidden,
}

impl Convex {
    /// Fetches a question.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn question(
        &self,
        _slot: &Slot,
        id: &QuestionId,
        kind: SubmissionKind,
        limits: FetchLimits,
        request_id: Option<&RequestId>,
    ) -> Result<Question, FetchError> {
        let path = match kind {
            SubmissionKind::Standard => "/coding/testcases",
            SubmissionKind::Personalized => "/coding/personalized-testcases",
        };
        measured(path, FetchError::word, self.ask(path, id, limits, request_id)).await
    }

    async fn ask(
        &self,
        path: &str,
        id: &QuestionId,
        limits: FetchLimits,
        request_id: Option<&RequestId>,
    ) -> Result<Question, FetchError> {
        let body = to_json(&Request { question_id: id.as_str() });
        // Each question is a call of its own: a receiver that drops repeats must not drop an answer.
        let call = callback_id("testcases", &format!("{:032x}", rand::random::<u128>()));
        let response = self.post(path, body, &call, request_id, None).await?;
        match response.status().as_u16() {
            // Not Convex's word on the question: a proxy or a sign-in in between.
            status @ 200 if is_page(&response) => return Err(CallError::Page { status }.into()),
            200 => {}
            404 => return Err(FetchError::NotFound),
            400 => return Err(FetchError::BadId),
            _ => return Err(refusal(&response).into()),
        }
        let answer = read_up_to(response, limits.bytes).await?;
        if answer.cut {
            return Err(FetchError::TooLarge { max: limits.bytes });
        }
        question(&answer.head, limits)
    }
}

fn question(answer: &[u8], limits: FetchLimits) -> Result<Question, FetchError> {
    let mut answer: Answer = serde_json::from_slice(answer)
        .map_err(|error| FetchError::Malformed { line: error.line(), column: error.column() })?;
    let count = answer.test_cases.len();
    if count == 0 {
        return Err(FetchError::NoTests);
    }
    if count > limits.tests {
        return Err(FetchError::TooMany { count, max: limits.tests });
    }
    // Stable: tests of one order stay as Convex sent them.
    answer.test_cases.sort_by(|a, b| a.order.total_cmp(&b.order));
    let comparison = answer.question.output_comparison;
    Ok(Question {
        limits: Limits::new(answer.question.time_limit_seconds, answer.question.memory_limit_mb)?,
        comparison: Comparison {
            trim_outputs: comparison.trim_outputs,
            normalize_whitespace: comparison.normalize_whitespace,
            case_sensitive: comparison.case_sensitive,
        },
        tests: answer.test_cases.into_iter().map(test).collect(),
    })
}

fn test(test: AnsweredTest) -> TestCase {
    let visibility = match test.visibility {
        AnsweredVisibility::Public => Visibility::Public,
        AnsweredVisibility::Hidden => Visibility::Hidden,
    };
    TestCase { visibility, stdin: test.stdin, expected_stdout: test.expected_stdout }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FetchLimits = FetchLimits { tests: 2, bytes: 1000 };

    fn answer(limits: &str, tests: &str) -> String {
        let comparison = r#"{"trimOutputs":true,"normalizeWhitespace":false,"caseSensitive":true,"new":1}"#;
        format!(
            r#"{{"question":{{"_id":"q",{limits},"outputComparison":{comparison}}},"testCases":[{tests}],"new":[]}}"#
        )
    }

    fn test_case(stdin: &str, order: &str) -> String {
        format!(
            r#"{{"_id":"t","visibility":"hidden","stdin":"{stdin}","expectedStdout":"","order":{order},"x":null}}"#
        )
    }

    const SOUND: &str = r#""timeLimitSeconds":0.5,"memoryLimitMb":64"#;

    #[test]
    fn tests_come_in_their_order_and_unknown_fields_are_ignored() {
        let tests = [test_case("b", "1.5"), test_case("a", "-1")].join(",");
        let question = question(answer(SOUND, &tests).as_bytes(), LIMITS).ok().unwrap();
        let inputs: Vec<_> = question.tests.iter().map(|test| test.stdin.as_str()).collect();
        assert_eq!(inputs, ["a", "b"]);
        assert_eq!(question.limits.cpu_time.as_millis(), 500);
    }

    #[test]
    fn none_and_too_many_are_final() {
        let none = question(answer(SOUND, "").as_bytes(), LIMITS);
        assert!(matches!(none, Err(FetchError::NoTests)));
        let three = vec![test_case("a", "1"); 3].join(",");
        let three = question(answer(SOUND, &three).as_bytes(), LIMITS);
        assert!(matches!(three, Err(FetchError::TooMany { count: 3, max: 2 })));
    }

    #[test]
    fn what_is_malformed_is_not_repeated() {
        let secret = test_case("secret", "\"secret\"");
        for bad in ["", "null", "<html>secret</html>", r#"{"question":"secret"}"#, &answer(SOUND, &secret)] {
            let error = question(bad.as_bytes(), LIMITS).err().unwrap();
            assert!(matches!(error, FetchError::Malformed { .. }), "{bad}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn limits_that_make_no_sense_are_final() {
        let zero = answer(r#""timeLimitSeconds":0,"memoryLimitMb":64"#, &test_case("a", "1"));
        assert!(matches!(question(zero.as_bytes(), LIMITS), Err(FetchError::Limits(_))));
    }
}
