//! The result callback. Fields without a value are omitted, because Convex rejects `null`.

use gavel_domain::event::Judged;
use gavel_domain::{FirstFailure, Generation, RequestId, SubmissionKind};
use serde::Serialize;

use crate::call::{CallError, error_label};
use crate::client::{Convex, to_json};
use crate::permits::CallPermit;
use crate::response::expect_success;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultBody<'a> {
    submission_id: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    passed_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_failure_index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_failure: Option<FailureBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compile_output: Option<&'a str>,
    duration_ms: u64,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct FailureBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    stdin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actual_output: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_output: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<&'a str>,
}

impl<'a> From<&'a FirstFailure> for FailureBody<'a> {
    fn from(failure: &'a FirstFailure) -> Self {
        Self {
            stdin: failure.stdin.as_deref(),
            actual_output: failure.actual_output.as_deref(),
            expected_output: failure.expected_output.as_deref(),
            error_message: Some(&failure.error_message),
        }
    }
}

/// Returns the JSON body of the result callback. The reason of an error is a failure with a message only: the app titles
/// `stderr` "Runtime Error". Convex keeps the stored value of a field that a result omits, so a
/// later generation sends empty values for the texts and the first failure of an earlier result (contract §2).
#[must_use]
pub fn result_body(judged: &Judged) -> Vec<u8> {
    let verdict = &judged.verdict;
    let is_later = judged.submission.generation != Generation::FIRST;
    let reason = verdict.reason.as_deref();
    let error = reason.map(|reason| FailureBody { error_message: Some(reason), ..FailureBody::default() });
    let first_failure = verdict.first_failure.as_ref().map(FailureBody::from).or(error);
    let failed_at = verdict.first_failure.as_ref().map(|failure| failure.index);
    let empty = is_later.then_some("");
    to_json(&ResultBody {
        submission_id: judged.submission.id.as_str(),
        status: verdict.status.as_str(),
        passed_count: verdict.passed_count,
        total_count: verdict.total_count,
        // A fault met the test after those that ran. If none ran, it may have come before the tests.
        first_failure_index: failed_at
            .or_else(|| reason.filter(|_| !verdict.tests.is_empty()).and(verdict.passed_count)),
        first_failure: first_failure.or_else(|| is_later.then(FailureBody::default)),
        stderr: verdict.stderr.as_deref().or(empty),
        compile_output: verdict.compile_output.as_deref().or(empty),
        duration_ms: judged.duration_ms,
    })
}

impl Convex {
    /// Sends the verdict to Convex, and returns the HTTP status of its response. `callback` is the callback's id,
    /// the same for each attempt.
    ///
    /// # Errors
    /// Returns an error if Convex does not answer in time, or answers with anything but a 2xx.
    pub async fn notify_result(
        &self,
        permit: &CallPermit,
        judged: &Judged,
        callback: &str,
        request_id: Option<&RequestId>,
    ) -> Result<u16, CallError> {
        let path = match judged.submission.kind {
            SubmissionKind::Standard => "/coding/submission-result",
            SubmissionKind::Personalized => "/coding/personalized-submission-result",
        };
        let call = async {
            expect_success(self.post(path, result_body(judged), callback, request_id, None).await?).await
        };
        self.observed(path, permit, error_label, |error| Some(error), call).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gavel_domain::{
        LanguageId, Outcome, QuestionId, Status, Submission, SubmissionId, TestReport, Usage, Verdict,
    };

    fn judged(verdict: Verdict) -> Judged {
        let submission = Submission {
            id: SubmissionId::new("k97").unwrap(),
            question_id: QuestionId::new("q1").unwrap(),
            language: LanguageId(71),
            kind: SubmissionKind::Standard,
            accepted_at_ms: 0,
            generation: Generation::FIRST,
        };
        Judged { submission, verdict, duration_ms: 812, instance: "judge".into(), assignment: None }
    }

    #[test]
    fn full_result_matches_the_example_of_the_contract() {
        let verdict = Verdict {
            status: Status::Failed,
            passed_count: Some(3),
            total_count: Some(10),
            first_failure: Some(FirstFailure {
                index: 3,
                stdin: Some("1".into()),
                actual_output: Some("2".into()),
                expected_output: Some("3".into()),
                error_message: "Wrong answer".into(),
            }),
            reason: None,
            stderr: Some("e".into()),
            compile_output: Some("c".into()),
            tests: Vec::new(),
            toolchain: Some("C++ (GCC) 12.2.0".into()),
        };
        let expected = concat!(
            r#"{"submissionId":"k97","status":"failed","passedCount":3,"totalCount":10,"firstFailureIndex":3,"#,
            r#""firstFailure":{"stdin":"1","actualOutput":"2","expectedOutput":"3","errorMessage":"Wrong answer"},"#,
            r#""stderr":"e","compileOutput":"c","durationMs":812}"#,
        );
        assert_eq!(String::from_utf8(result_body(&judged(verdict))).unwrap(), expected);
    }

    #[test]
    fn later_generation_empties_the_fields_of_an_earlier_one() {
        let mut judged = judged(Verdict { status: Status::Passed, reason: None, ..Verdict::error("") });
        judged.submission.generation = Generation::FIRST.next();
        let expected = concat!(
            r#"{"submissionId":"k97","status":"passed","firstFailure":{},"stderr":"","compileOutput":"","#,
            r#""durationMs":812}"#,
        );
        assert_eq!(String::from_utf8(result_body(&judged)).unwrap(), expected);
    }

    #[test]
    fn reason_of_an_error_is_a_failure_without_stderr() {
        let body = |judged: &Judged| String::from_utf8(result_body(judged)).unwrap();
        let mut judged = judged(Verdict::error("no such question"));
        let unknown = concat!(
            r#"{"submissionId":"k97","status":"error","firstFailure":{"errorMessage":"No such question."},"#,
            r#""durationMs":812}"#,
        );
        assert_eq!(body(&judged), unknown, "fields without a value are omitted");
        (judged.verdict.passed_count, judged.verdict.total_count) = (Some(2), Some(5));
        let report = TestReport { outcome: Outcome::Exited { code: 0 }, usage: Usage::default() };
        judged.verdict.tests = vec![report; 2];
        judged.submission.generation = Generation::FIRST.next();
        let known = concat!(
            r#"{"submissionId":"k97","status":"error","passedCount":2,"totalCount":5,"firstFailureIndex":2,"#,
            r#""firstFailure":{"errorMessage":"No such question."},"stderr":"","compileOutput":"","#,
            r#""durationMs":812}"#,
        );
        assert_eq!(body(&judged), known);
    }
}
