//! The bodies of the result callbacks: each row of the contract's table, for both submission kinds.

use gavel_domain::{Clock, OutputStream};
use gavel_domain::{
    Comparison, Execution, HiddenOutput, Limits, Outcome, Question, Scorer, Status, Submission,
    SubmissionKind, TestCase, Usage, Verdict, Visibility,
};
use gavel_mock_convex::Endpoint;
use gavel_testkit::TEST_TIMEOUT;
use gavel_testkit::fixtures::{passed, submission};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::time::Duration;

use crate::rig::Rig;

/// The maximum size of a text field in these verdicts, in bytes.
const CAP: usize = 100;

/// Two public tests, then a hidden one.
fn question() -> Question {
    let test = |visibility, stdin: &str, expected: &str| TestCase {
        visibility,
        stdin: stdin.into(),
        expected_stdout: expected.into(),
    };
    Question {
        limits: Limits { cpu_time: Duration::from_secs(1), memory_bytes: 64 << 20 },
        comparison: Comparison { trim_outputs: true, normalize_whitespace: false, case_sensitive: true },
        tests: vec![
            test(Visibility::Public, "1\n", "one\n"),
            test(Visibility::Public, "2\n", "two\n"),
            test(Visibility::Hidden, "hidden input", "three\n"),
        ],
    }
}

fn execution(outcome: Outcome, stdout: &[u8], stderr: &[u8]) -> Execution {
    let (stdout, stderr) = (stdout.to_vec(), stderr.to_vec());
    Execution { outcome, matched_bytes: 0, stdout, stderr, usage: Usage::default() }
}

fn scorer(question: &Question) -> Scorer<'_> {
    Scorer::new(question, CAP, HiddenOutput::Send)
}

/// The verdict if the first `before` tests pass and the next one runs as `last`.
fn failing(before: usize, last: &Execution) -> Verdict {
    let question = question();
    let mut scorer = scorer(&question);
    for test in &question.tests[..before] {
        let fine = execution(Outcome::Exited { code: 0 }, test.expected_stdout.as_bytes(), b"");
        assert!(scorer.next(&fine).is_continue());
    }
    match scorer.next(last) {
        ControlFlow::Break(verdict) => verdict,
        ControlFlow::Continue(()) => panic!("it passed"),
    }
}

/// The verdict if the system fails after the first test has passed.
fn later_fault() -> Verdict {
    let question = question();
    let mut scorer = scorer(&question);
    let fine = execution(Outcome::Exited { code: 0 }, question.tests[0].expected_stdout.as_bytes(), b"");
    assert!(scorer.next(&fine).is_continue());
    scorer.error("the engine is not available")
}

fn rows() -> Vec<(&'static str, Verdict, Value)> {
    let fine = Outcome::Exited { code: 0 };
    let mut rows = vec![
        (
            "passed",
            failing(2, &execution(fine, b"three", b"")),
            json!({ "status": "passed", "passedCount": 3, "totalCount": 3 }),
        ),
        (
            "compile",
            scorer(&question()).compile_error(b"line 1: what?"),
            json!({ "status": "failed", "passedCount": 0, "totalCount": 3, "firstFailureIndex": 0,
                "firstFailure": { "stdin": "1\n", "actualOutput": "", "expectedOutput": "one\n",
                    "errorMessage": "line 1: what?" }, "compileOutput": "line 1: what?" }),
        ),
        (
            "silentcompiler",
            scorer(&question()).compile_error(b""),
            json!({ "status": "failed", "passedCount": 0, "totalCount": 3, "firstFailureIndex": 0,
                "firstFailure": { "stdin": "1\n", "actualOutput": "", "expectedOutput": "one\n",
                    "errorMessage": "Compilation failed" } }),
        ),
        (
            "runtime",
            failing(1, &execution(Outcome::Exited { code: 3 }, b"tw", b"Trace\n  boom")),
            json!({ "status": "failed", "passedCount": 1, "totalCount": 3, "firstFailureIndex": 1,
                "firstFailure": { "stdin": "2\n", "actualOutput": "tw", "expectedOutput": "two\n",
                    "errorMessage": "Trace\n  boom" }, "stderr": "Trace\n  boom" }),
        ),
        (
            "signal",
            failing(0, &execution(Outcome::Signaled { signal: 11 }, b"", b"")),
            json!({ "status": "failed", "passedCount": 0, "totalCount": 3, "firstFailureIndex": 0,
                "firstFailure": { "stdin": "1\n", "actualOutput": "", "expectedOutput": "one\n",
                    "errorMessage": "Runtime error (SIGSEGV)" } }),
        ),
        (
            "wrong",
            failing(0, &execution(fine, b"eins", b"a hint")),
            json!({ "status": "failed", "passedCount": 0, "totalCount": 3, "firstFailureIndex": 0,
                "firstFailure": { "stdin": "1\n", "actualOutput": "eins", "expectedOutput": "one\n",
                    "errorMessage": "Wrong answer" } }),
        ),
        (
            "wronghidden",
            failing(2, &execution(fine, b"drei", b"")),
            json!({ "status": "failed", "passedCount": 2, "totalCount": 3, "firstFailureIndex": 2,
                "firstFailure": { "actualOutput": "drei", "errorMessage": "Wrong answer" } }),
        ),
        (
            "error",
            scorer(&question()).error("the engine is not available"),
            json!({ "status": "error", "passedCount": 0, "totalCount": 3,
                "firstFailure": { "errorMessage": "The engine is not available." } }),
        ),
        (
            "latererror",
            later_fault(),
            json!({ "status": "error", "passedCount": 1, "totalCount": 3, "firstFailureIndex": 1,
                "firstFailure": { "errorMessage": "The engine is not available." } }),
        ),
        (
            "bareerror",
            Verdict::error("the question was not found"),
            json!({ "status": "error", "firstFailure": { "errorMessage": "The question was not found." } }),
        ),
    ];
    let limits = [
        ("time", Outcome::TimeLimit { clock: Clock::Cpu }, "Time limit exceeded"),
        ("wall", Outcome::TimeLimit { clock: Clock::Wall }, "Time limit exceeded"),
        ("memory", Outcome::MemoryLimit, "Memory limit exceeded"),
        ("output", Outcome::OutputLimit { stream: OutputStream::Stdout }, "Output limit exceeded"),
    ];
    for (name, outcome, message) in limits {
        let expected = json!({ "status": "failed", "passedCount": 1, "totalCount": 3, "firstFailureIndex": 1,
            "firstFailure": { "stdin": "2\n", "actualOutput": "t", "expectedOutput": "two\n",
                "errorMessage": message } });
        rows.push((name, failing(1, &execution(outcome, b"t", b"ignored")), expected));
    }
    rows.extend(special_texts());
    rows
}

/// Texts that are hard to encode: too long, not UTF-8, with control characters, with an emoji at the cut.
fn special_texts() -> Vec<(&'static str, Verdict, Value)> {
    let marker = "\n[cut: 400 bytes in all]";
    let fine = Outcome::Exited { code: 0 };
    let expected = |output: &str| {
        json!({ "status": "failed", "passedCount": 2, "totalCount": 3, "firstFailureIndex": 2,
            "firstFailure": { "actualOutput": output, "errorMessage": "Wrong answer" } })
    };
    let long = "😀".repeat(100);
    let cut = format!("{}{marker}", "😀".repeat((CAP - marker.len()) / 4));
    let controls = "\0\u{1}\u{1b}[31m\r\n\"\\\u{7f}\u{2028}\u{feff}\u{ffff} ünï";
    vec![
        ("long", failing(2, &execution(fine, long.as_bytes(), b"")), expected(&cut)),
        ("controls", failing(2, &execution(fine, controls.as_bytes(), b"")), expected(controls)),
        (
            "bytes",
            failing(2, &execution(fine, b"a\xff\xed\xa0\x80b", b"")),
            expected("a\u{fffd}\u{fffd}\u{fffd}\u{fffd}b"),
        ),
    ]
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn verdicts_are_sent_as_in_the_contract() {
    let rig = Rig::start(&[]).await;
    for kind in [SubmissionKind::Standard, SubmissionKind::Personalized] {
        let (running, result) = match kind {
            SubmissionKind::Standard => (Endpoint::RUNNING, Endpoint::RESULT),
            SubmissionKind::Personalized => (Endpoint::PERSONALIZED_RUNNING, Endpoint::PERSONALIZED_RESULT),
        };
        for (name, verdict, mut expected) in rows() {
            let submission = Submission { kind, ..submission(&format!("{}-{name}", kind.as_str())) };
            let id = submission.id.as_str();
            assert!(rig.begin(&submission).await);
            rig.wait_applied(id, running).await;
            rig.judge(&submission, verdict).await;
            let state = rig.convex.wait_final(id, TEST_TIMEOUT).await.unwrap();
            expected["submissionId"] = id.into();
            expected["durationMs"] = 812.into();
            let calls = rig.convex.calls_of(id);
            let seen: Vec<_> = calls.iter().map(|call| (call.endpoint, call.status())).collect();
            assert_eq!(seen[0], (running, Some(200)), "{id}");
            assert_eq!((calls.len(), calls[1].endpoint), (2, result), "{id}");
            assert_eq!(*calls[0].body, json!({ "submissionId": id }));
            assert_eq!(*calls[1].body, expected, "{id}");
            assert_eq!(state.status.as_str(), expected["status"], "{id}");
            for call in calls {
                assert!(!has_null(&call.body), "{id}: {}", call.body);
                assert!(!call.body.to_string().contains("hidden input"), "{id}");
                assert_eq!(call.header("x-request-id"), Some(format!("req-{id}").as_str()));
                assert_eq!(call.header("content-type"), Some("application/json"));
            }
        }
    }
    assert_eq!(rig.convex.wrong_paths(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_maximum_size_fit_into_a_document() {
    let rig = Rig::start(&[]).await;
    let submission = submission("large");
    let text = "\u{1}".repeat(gavel_domain::text::MAX_FIELD_BYTES);
    let mut verdict = Verdict { status: Status::Failed, ..passed() };
    verdict.first_failure = Some(gavel_domain::FirstFailure {
        index: 0,
        stdin: Some(text.clone()),
        actual_output: Some(text.clone()),
        expected_output: Some(text.clone()),
        error_message: text.clone(),
    });
    verdict.stderr = Some(text.clone());
    verdict.compile_output = Some(text);
    rig.judge(&submission, verdict).await;
    let state = rig.convex.wait_final("large", TEST_TIMEOUT).await.unwrap();
    assert_eq!(state.status, gavel_mock_convex::Status::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn trailing_slash_in_the_url_and_missing_request_id_are_accepted() {
    let mut rig = Rig::bare().await;
    let url = format!("{}/", rig.convex.url());
    rig.add_reporter(&[("CONVEX_SITE_URL", url.as_str())]).await;
    let submission = submission("s1");
    let event = gavel_domain::event::Running { submission: submission.clone(), instance: "judge".into() };
    let outgoing = gavel_bus::Outgoing::from(&event);
    rig.bus.publish(&outgoing, &gavel_bus::Trace::default(), TEST_TIMEOUT).await.unwrap();
    rig.wait_applied("s1", Endpoint::RUNNING).await;
    assert_eq!(rig.convex.calls_of("s1")[0].header("x-request-id"), None);
    rig.judge(&submission, passed()).await;
    rig.check_final_state(&submission).await;
    assert_eq!(rig.convex.wrong_paths(), Vec::<String>::new());
}
