//! A submission whose question is unusable ends with an error and its reason at once, after one call and without a
//! retry or a dead letter.

use gavel_mock_convex::{Endpoint, HttpFault, Matcher, Question, SubmissionKind};
use gavel_testkit::{LogLine, TEST_TIMEOUT};
use serde_json::{Value, json};

use crate::rig::{Counts, Rig, question};

fn tests(id: &str, count: usize) -> Question {
    (0..count)
        .fold(Question::build(SubmissionKind::Standard, id), |question, _| question.public("1", "2"))
        .done()
}

/// The document of a valid question with one value changed.
fn changed(id: &str, pointer: &str, value: Value) -> Question {
    let comparison = json!({ "trimOutputs": true, "normalizeWhitespace": false, "caseSensitive": true });
    let mut document = json!({
        "question": { "_id": id, "timeLimitSeconds": 1, "memoryLimitMb": 64, "outputComparison": comparison },
        "testCases": [{ "_id": "t", "visibility": "public", "stdin": "", "expectedStdout": "", "order": 0 }],
    });
    *document.pointer_mut(pointer).unwrap() = value;
    Question::new(SubmissionKind::Standard, &document).unwrap()
}

#[tokio::test]
async fn unusable_question_is_an_error_with_a_plain_reason() {
    let questions = vec![
        tests("none", 0),
        tests("many", 51),
        Question::build(SubmissionKind::Standard, "large").hidden(&"x".repeat(30_000), "").done(),
        changed("no-time", "/question/timeLimitSeconds", json!(0)),
        changed("no-memory", "/question/memoryLimitMb", json!(-1)),
    ];
    let mut rig = Rig::with(questions, &[("MAX_BUNDLE_BYTES", "20000")]).await;
    rig.convex.fault(Matcher::of(Endpoint::TEST_CASES).id("bad-id"), HttpFault::Refused(400));
    let expected = [
        ("nowhere", "The question was not found."),
        ("bad-id", "The question's id is invalid."),
        ("none", "The question has no test cases."),
        ("many", "The question has 51 test cases, but at most 50 are allowed."),
        ("large", "The question's test cases exceed 20000 bytes."),
        ("no-time", "The question's limits are invalid."),
        ("no-memory", "The question's limits are invalid."),
    ];
    for (id, _) in expected {
        rig.queue(id, id).await;
    }
    for (id, reason) in expected {
        assert_eq!(rig.reason(id).await, reason);
        assert_eq!(rig.convex.calls_of(id).len(), 1, "{id}");
    }
    for cause in
        ["a time limit of 0 s is not between 0 and 300 s", "a memory limit of -1 MiB is not between 0 and"]
    {
        rig.fetcher.wait_log(cause, TEST_TIMEOUT, |line| line.contains(cause)).await.unwrap();
    }
    assert_eq!(rig.settled().await, Counts { ready: 0, judged: 7, dead: 0 });
}

#[tokio::test]
async fn response_outside_the_contract_is_malformed() {
    let null = Value::Null;
    let questions = vec![
        changed("limit-text", "/question/timeLimitSeconds", json!("1")),
        changed("limit-null", "/question/memoryLimitMb", null.clone()),
        changed("no-comparison", "/question/outputComparison", json!({})),
        changed("visibility", "/testCases/0/visibility", json!("secret")),
        changed("stdin", "/testCases/0/stdin", json!(1)),
        changed("expected", "/testCases/0/expectedStdout", null.clone()),
        changed("order", "/testCases/0/order", json!("0")),
        changed("case", "/testCases/0", null),
    ];
    let mut rig = Rig::start(questions).await;
    let body = |id: &str, text: &str| {
        let fault = HttpFault::Foreign(200, "application/json", text.to_owned());
        rig.convex.fault(Matcher::of(Endpoint::TEST_CASES).id(id), fault);
    };
    body("surrogate", "{\"question\":{\"_id\":\"\\ud800\"},\"testCases\":[]}");
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    body("deep", &format!("{{\"question\":{deep},\"testCases\":[]}}"));
    let ids = [
        "limit-text",
        "limit-null",
        "no-comparison",
        "visibility",
        "stdin",
        "expected",
        "order",
        "case",
        "surrogate",
        "deep",
    ];
    for id in ids {
        rig.queue(id, id).await;
    }
    for id in ids {
        assert_eq!(rig.reason(id).await, "The question's test cases are malformed.", "{id}");
        let is_cause = |line: &LogLine| {
            line.contains(&format!("\"{id}\"")) && line.contains("are malformed: line 1, column ")
        };
        rig.fetcher.wait_log("the position", TEST_TIMEOUT, is_cause).await.unwrap();
        assert_eq!(rig.convex.calls_of(id).len(), 1, "{id}");
    }
    assert_eq!(rig.settled().await, Counts { ready: 0, judged: ids.len() as u64, dead: 0 });
}

#[tokio::test]
async fn max_testcases_is_inclusive() {
    let mut rig = Rig::with(vec![tests("fifty", 50), tests("three", 3)], &[]).await;
    rig.queue("s1", "fifty").await;
    rig.ready("s1").await;
    let other = rig.another(&[("MAX_TESTCASES", "2")]).await;
    rig.fetcher.kill().await.unwrap();
    rig.queue("s2", "three").await;
    let reason = rig.reason("s2").await;
    assert_eq!(reason, "The question has 3 test cases, but at most 2 are allowed.");
    drop(other);
}

#[tokio::test]
async fn error_is_not_reused_for_the_next_submission() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.queue("s1", "later").await;
    assert_eq!(rig.reason("s1").await, "The question was not found.");
    rig.convex.put_question(question("later"));
    rig.queue("s2", "later").await;
    rig.ready("s2").await;
}
