//! Fetching a question and its test cases from Convex.

use bytes::BytesMut;
use gavel_domain::question::InvalidLimits;
use gavel_domain::{
    Comparison, Limits, Question, QuestionId, RequestId, SubmissionKind, TestCase, Visibility,
};
use reqwest::Response;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::call::{AnswerOrigin, CallError, error_label};
use crate::client::{Convex, to_json};
use crate::permits::CallPermit;
use crate::response::{is_page, read_error};
use crate::sign::callback_id;

/// The limits for a question.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// The largest number of test cases.
    pub tests: usize,
    /// The largest size of the inputs and expected outputs together, in bytes.
    pub bytes: usize,
}

/// Why the test cases of a question were not fetched. Only [`FetchError::Call`] is worth a retry.
///
/// No text quotes the response: test data must not reach logs or verdicts. Except for `Call`, learners see these
/// texts, without their sources.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The app answered 404.
    #[error("the question was not found")]
    NotFound,
    /// The app answered 400.
    #[error("the question's id is invalid")]
    BadId,
    /// The list of test cases is empty.
    #[error("the question has no test cases")]
    NoTests,
    /// The question has more than `MAX_TESTCASES` test cases.
    #[error("the question has {count} test cases, but at most {max} are allowed")]
    TooMany {
        /// The number of test cases.
        count: usize,
        /// The allowed number.
        max: usize,
    },
    /// The test data is larger than `MAX_BUNDLE_BYTES`.
    #[error("the question's test cases exceed {max} bytes")]
    TooLarge {
        /// The allowed size in bytes.
        max: usize,
    },
    /// The response does not match the contract.
    #[error("the question's test cases are malformed")]
    Malformed(#[source] ParseErrorPosition),
    /// A limit of the question is out of range.
    #[error("the question's limits are invalid")]
    Limits(#[from] InvalidLimits),
    /// The call failed; a retry may succeed.
    #[error("cannot fetch the test cases")]
    Call(#[from] CallError),
}

/// Where parsing a response failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column} of the response")]
pub struct ParseErrorPosition {
    line: usize,
    column: usize,
}

impl FetchError {
    /// Returns the metric label of the error.
    fn label(&self) -> &'static str {
        match self {
            Self::Call(error) => error_label(error),
            Self::NotFound => "not_found",
            Self::BadId => "refused",
            Self::NoTests
            | Self::TooMany { .. }
            | Self::TooLarge { .. }
            | Self::Malformed(_)
            | Self::Limits(_) => "unusable",
        }
    }

    /// The error of the call; `None` if the app answered it.
    fn call(&self) -> Option<&CallError> {
        if let Self::Call(error) = self { Some(error) } else { None }
    }
}

#[derive(Serialize)]
struct Request<'a> {
    #[serde(rename = "questionId")]
    question_id: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseBody {
    question: QuestionBody,
    test_cases: Vec<TestCaseBody>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QuestionBody {
    time_limit_seconds: f64,
    memory_limit_mb: f64,
    output_comparison: ComparisonBody,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ComparisonBody {
    trim_outputs: bool,
    normalize_whitespace: bool,
    case_sensitive: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TestCaseBody {
    visibility: VisibilityBody,
    stdin: String,
    expected_stdout: String,
    order: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum VisibilityBody {
    Public,
    Hidden,
}

impl Convex {
    /// Fetches the limits and test cases of a question.
    ///
    /// # Errors
    /// Returns an error if the call fails, if Convex does not know the question, or if the question exceeds
    /// `limits` or is otherwise unusable.
    pub async fn fetch_question(
        &self,
        permit: &CallPermit,
        id: &QuestionId,
        kind: SubmissionKind,
        limits: FetchLimits,
        request_id: Option<&RequestId>,
    ) -> Result<Question, FetchError> {
        let path = match kind {
            SubmissionKind::Standard => "/coding/testcases",
            SubmissionKind::Personalized => "/coding/personalized-testcases",
        };
        let call = self.fetch(path, id, limits, request_id);
        self.observed(path, permit, FetchError::label, FetchError::call, call).await
    }

    async fn fetch(
        &self,
        path: &str,
        id: &QuestionId,
        limits: FetchLimits,
        request_id: Option<&RequestId>,
    ) -> Result<Question, FetchError> {
        let body = to_json(&Request { question_id: id.as_str() });
        // Each fetch has its own id: a receiver that drops repeated calls must answer this one.
        let call = callback_id("testcases", &format!("{:032x}", rand::random::<u128>()));
        let response = self.post(path, body, &call, request_id, None).await?;
        match response.status().as_u16() {
            200 => read_question(response, limits).await,
            // A learner sees these two as the end, so they must come from the app itself.
            _ => Err(match read_error(response).await {
                CallError::Status { status: 404, origin: AnswerOrigin::App, .. } => FetchError::NotFound,
                CallError::Status { status: 400, origin: AnswerOrigin::App, .. } => FetchError::BadId,
                error => error.into(),
            }),
        }
    }
}

async fn read_question(response: Response, limits: FetchLimits) -> Result<Question, FetchError> {
    if is_page(&response) {
        return Err(CallError::Page { status: 200 }.into());
    }
    parse(&read_body(response, limits).await?, limits)
}

/// Reads the body, which reqwest decompresses, and stops where it exceeds the limits. So a compressed body costs no more
/// memory than the largest question.
async fn read_body(mut response: Response, limits: FetchLimits) -> Result<BytesMut, FetchError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(CallError::from_reqwest)? {
        if body.len() + chunk.len() > max_response_size(limits) {
            return Err(FetchError::TooLarge { max: limits.bytes });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The size of the largest response that is read. JSON writes a line end, a quote and a backslash with two bytes. Only test
/// data with many control characters, each of which takes six, is refused although it is within the limits.
fn max_response_size(limits: FetchLimits) -> usize {
    /// For the ids, names and other fields of a test case, and for the question.
    const FIELD_BYTES: usize = 16 << 10;
    2 * limits.bytes + (limits.tests + 1) * FIELD_BYTES
}

fn parse(response: &[u8], limits: FetchLimits) -> Result<Question, FetchError> {
    let mut body: ResponseBody = serde_json::from_slice(response).map_err(|error| {
        if let Some(problem) = foreign(response) {
            return FetchError::Call(CallError::Foreign { status: 200, problem });
        }
        FetchError::Malformed(ParseErrorPosition { line: error.line(), column: error.column() })
    })?;
    let count = body.test_cases.len();
    if count == 0 {
        return Err(FetchError::NoTests);
    }
    if count > limits.tests {
        return Err(FetchError::TooMany { count, max: limits.tests });
    }
    let bytes = body.test_cases.iter().map(|test| test.stdin.len() + test.expected_stdout.len());
    if bytes.sum::<usize>() > limits.bytes {
        return Err(FetchError::TooLarge { max: limits.bytes });
    }
    // A stable sort: test cases with equal `order` stay in the order that Convex sent.
    body.test_cases.sort_by(|a, b| a.order.total_cmp(&b.order));
    let comparison = body.question.output_comparison;
    Ok(Question {
        limits: Limits::new(body.question.time_limit_seconds, body.question.memory_limit_mb)?,
        comparison: Comparison {
            trim_outputs: comparison.trim_outputs,
            normalize_whitespace: comparison.normalize_whitespace,
            case_sensitive: comparison.case_sensitive,
        },
        tests: body.test_cases.into_iter().map(test).collect(),
    })
}

/// Returns why a body that is not of the contract is not the app's answer either, but one of a proxy, or a part of an
/// answer. `None` if it is the app's: a whole JSON object with a question and test cases.
fn foreign(response: &[u8]) -> Option<&'static str> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Outline {
        question: IgnoredAny,
        test_cases: IgnoredAny,
    }
    match response.trim_ascii_start().first() {
        None => return Some("it is empty"),
        Some(b'{') => {}
        Some(_) => return Some("it is not a JSON object"),
    }
    match serde_json::from_slice(response) {
        Ok(Outline { question: IgnoredAny, test_cases: IgnoredAny }) => None,
        Err(error) if error.is_eof() => Some("it is cut off"),
        Err(error) if error.is_data() => Some("it lacks the question or the test cases"),
        Err(_) => Some("it is not a JSON object"),
    }
}

fn test(test: TestCaseBody) -> TestCase {
    let visibility = match test.visibility {
        VisibilityBody::Public => Visibility::Public,
        VisibilityBody::Hidden => Visibility::Hidden,
    };
    TestCase { visibility, stdin: test.stdin, expected_stdout: test.expected_stdout }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FetchLimits = FetchLimits { tests: 2, bytes: 1000 };

    fn response(limits: &str, tests: &str) -> String {
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

    const VALID: &str = r#""timeLimitSeconds":0.5,"memoryLimitMb":64"#;

    #[test]
    fn tests_are_sorted_and_unknown_fields_ignored() {
        let tests = [test_case("b", "1.5"), test_case("a", "-1")].join(",");
        let question = parse(response(VALID, &tests).as_bytes(), LIMITS).ok().unwrap();
        let inputs: Vec<_> = question.tests.iter().map(|test| test.stdin.as_str()).collect();
        assert_eq!(inputs, ["a", "b"]);
        assert_eq!(question.limits.cpu_time.as_millis(), 500);
    }

    #[test]
    fn empty_and_too_long_lists_are_rejected() {
        let none = parse(response(VALID, "").as_bytes(), LIMITS);
        assert!(matches!(none, Err(FetchError::NoTests)));
        let three = vec![test_case("a", "1"); 3].join(",");
        let three = parse(response(VALID, &three).as_bytes(), LIMITS);
        assert!(matches!(three, Err(FetchError::TooMany { count: 3, max: 2 })));
    }

    #[test]
    fn size_counts_test_data_and_not_its_escapes() {
        // 500 bytes, each of which JSON writes with two.
        let test = |order| test_case(&"\\n".repeat(500), order);
        let response = |tests: &[String]| response(VALID, &tests.join(","));
        let two = response(&[test("1"), test("2")]);
        assert!(two.len() > 2_000 && two.len() <= max_response_size(LIMITS));
        assert!(parse(two.as_bytes(), LIMITS).is_ok());
        let over = response(&[test("1"), test_case(&"x".repeat(501), "2")]);
        assert!(matches!(parse(over.as_bytes(), LIMITS), Err(FetchError::TooLarge { max: 1000 })));
    }

    #[test]
    fn error_of_a_malformed_response_does_not_quote_it() {
        for secret in [test_case("secret", "\"secret\""), test_case("secret\\ud800", "1")] {
            let error = parse(response(VALID, &secret).as_bytes(), LIMITS).err().unwrap();
            assert!(matches!(error, FetchError::Malformed(_)), "{error}");
            assert!(!gavel_domain::error::chain(&error).contains("secret"), "{error}");
        }
    }

    #[test]
    fn body_that_is_not_of_the_app_is_a_failed_call() {
        let whole = response(VALID, &test_case("secret", "1"));
        let cut: Vec<_> = (0..whole.len()).map(|length| &whole[..length]).collect();
        let foreign = [
            " \n",
            "null",
            "[]",
            "[1,2]",
            "true",
            "OK secret",
            "<html>secret</html>",
            r#"{"question":"secret"}"#,
            r#"{"error":"secret"}"#,
            &"[".repeat(10_000),
        ];
        for body in cut.into_iter().chain(foreign) {
            let error = parse(body.as_bytes(), LIMITS).err().unwrap();
            assert!(matches!(error, FetchError::Call(CallError::Foreign { status: 200, .. })), "{body}");
            assert!(!gavel_domain::error::chain(&error).contains("secret"), "{error}");
        }
        assert!(parse(whole.as_bytes(), LIMITS).is_ok());
    }

    #[test]
    fn limits_out_of_range_are_rejected() {
        let zero = response(r#""timeLimitSeconds":0,"memoryLimitMb":64"#, &test_case("a", "1"));
        assert!(matches!(parse(zero.as_bytes(), LIMITS), Err(FetchError::Limits(_))));
    }
}
