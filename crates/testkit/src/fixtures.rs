//! Domain values for tests, complete and valid. A test changes the fields that it is about with struct update
//! syntax: `Submission { language: LanguageId(50), ..submission("s1") }`.
//!
//! Keys are written as they appear in subjects: `s1` for the first generation, `s1.2` for the second.

use gavel_domain::event::{BundleKey, Judged, Queued, Ready, Reported, Running};
use gavel_domain::{
    Comparison, FirstFailure, LanguageId, Limits, Question, QuestionId, Status, Submission, SubmissionKey,
    SubmissionKind, TestCase, Verdict, Visibility,
};

/// The program of [`queued`] and [`ready`].
pub const SOURCE: &str = "print(1)";

/// Parses a key.
///
/// # Panics
/// Panics if `text` is not a key.
#[must_use]
pub fn key(text: &str) -> SubmissionKey {
    SubmissionKey::parse(text).unwrap_or_else(|| panic!("{text:?} is not a submission key"))
}

/// A standard submission of a Python program for question `q1`.
///
/// # Panics
/// Panics if `text` is not a key.
#[must_use]
pub fn submission(text: &str) -> Submission {
    let SubmissionKey { id, generation } = key(text);
    Submission {
        id,
        question_id: QuestionId::new("q1").expect("a valid id"),
        language: LanguageId(71),
        kind: SubmissionKind::Standard,
        accepted_at_ms: 1_700_000_000_000,
        generation,
    }
}

/// The event of the ingress: [`submission`] with [`SOURCE`].
#[must_use]
pub fn queued(text: &str) -> Queued {
    Queued { submission: submission(text), source: SOURCE.to_owned() }
}

/// The event of the fetcher: [`submission`] with [`SOURCE`] and a bundle that is not stored.
#[must_use]
pub fn ready(text: &str) -> Ready {
    let bundle = BundleKey { day: 20_000, digest: "ab".repeat(32) };
    Ready { submission: submission(text), source: SOURCE.to_owned(), bundle, renewals: 0, handed_on: None }
}

/// The first event of a judge, named `judge-a`.
#[must_use]
pub fn running(text: &str) -> Running {
    Running { submission: submission(text), instance: "judge-a".to_owned() }
}

/// The last event of a judge, named `judge-a`: this verdict after 812 ms.
#[must_use]
pub fn judged(text: &str, verdict: Verdict) -> Judged {
    let instance = "judge-a".to_owned();
    Judged { submission: submission(text), verdict, duration_ms: 812, instance, assignment: None }
}

/// The event of a reporter, named `reporter-a`, whose first callback succeeded.
#[must_use]
pub fn reported(text: &str, status: Status) -> Reported {
    let instance = "reporter-a".to_owned();
    Reported { submission: submission(text), status, attempts: 1, instance, callback_attempts: Vec::new() }
}

/// A verdict: both of 2 tests passed.
#[must_use]
pub fn passed() -> Verdict {
    Verdict {
        status: Status::Passed,
        passed_count: Some(2),
        total_count: Some(2),
        first_failure: None,
        reason: None,
        stderr: None,
        compile_output: None,
        tests: Vec::new(),
        toolchain: None,
    }
}

/// A verdict: 3 of 10 tests passed, and the fourth, a hidden one, has a wrong answer.
#[must_use]
pub fn failed() -> Verdict {
    let failure = FirstFailure {
        index: 3,
        stdin: None,
        actual_output: None,
        expected_output: None,
        error_message: "Wrong answer".to_owned(),
    };
    Verdict {
        status: Status::Failed,
        passed_count: Some(3),
        total_count: Some(10),
        first_failure: Some(failure),
        ..passed()
    }
}

/// A question with 1 s and 64 MiB per test, whose outputs are trimmed. Each test is its standard input and the
/// expected output, and is public.
///
/// # Panics
/// Never: the limits are valid.
#[must_use]
pub fn question(tests: &[(&str, &str)]) -> Question {
    let test = |&(stdin, expected): &(&str, &str)| TestCase {
        visibility: Visibility::Public,
        stdin: stdin.to_owned(),
        expected_stdout: expected.to_owned(),
    };
    Question {
        limits: Limits::new(1.0, 64.0).expect("valid limits"),
        comparison: Comparison { trim_outputs: true, normalize_whitespace: false, case_sensitive: true },
        tests: tests.iter().map(test).collect(),
    }
}
