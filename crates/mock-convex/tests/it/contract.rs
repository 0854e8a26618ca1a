//! The answers that the app's functions give.

use gavel_mock_convex::{Endpoint, Limits, Status, SubmissionKind, questions};
use serde_json::{Value, json};

use crate::rig::{Rig, passed, running};

#[tokio::test]
async fn test_cases_are_answered_in_wire_format() {
    let rig = Rig::start().await;
    let (status, body) = rig.post(Endpoint::TEST_CASES, &json!({ "questionId": "sum" })).await;
    assert_eq!(status, 200);
    let comparison = json!({ "trimOutputs": true, "normalizeWhitespace": false, "caseSensitive": true });
    let question = json!({
        "_id": "sum", "timeLimitSeconds": 0.5, "memoryLimitMb": 256, "outputComparison": comparison,
    });
    let case = json!({
        "_id": "case0", "visibility": "public", "stdin": "1 2\n", "expectedStdout": "3\n", "order": 0,
    });
    assert_eq!(body, json!({ "question": question, "testCases": [case] }));
}

#[tokio::test]
async fn question_kinds_are_separate() {
    let rig = Rig::start().await;
    let statuses = [
        (Endpoint::TEST_CASES, json!({ "questionId": "greet" }), 404),
        (Endpoint::PERSONALIZED_TEST_CASES, json!({ "questionId": "greet" }), 200),
        (Endpoint::PERSONALIZED_TEST_CASES, json!({ "questionId": "sum" }), 404),
        (Endpoint::TEST_CASES, json!({ "questionId": "no id" }), 400),
        (Endpoint::TEST_CASES, json!({ "questionId": 5 }), 400),
        (Endpoint::TEST_CASES, json!({}), 400),
    ];
    for (endpoint, body, expected) in statuses {
        assert_eq!(rig.post(endpoint, &body).await.0, expected, "{endpoint} {body}");
    }
}

#[tokio::test]
async fn last_write_wins() {
    let rig = Rig::start().await;
    assert_eq!(rig.post(Endpoint::RUNNING, &running("s1")).await, (200, json!({ "ok": true })));
    assert_eq!(rig.convex.submission("s1").unwrap().status, Status::Running);
    let failed = json!({
        "submissionId": "s1", "status": "failed", "stderr": "oops", "firstFailure": { "errorMessage": "Wrong answer" },
    });
    assert_eq!(rig.post(Endpoint::RESULT, &failed).await.0, 200);
    assert_eq!(rig.post(Endpoint::RESULT, &passed("s1")).await.0, 200);
    let state = rig.convex.submission("s1").unwrap();
    assert_eq!((state.status, rig.convex.final_count()), (Status::Passed, 1));
    assert_eq!(state.fields["stderr"], "oops", "a field that is left out keeps its value");
    assert_eq!(rig.convex.distinct_results("s1").len(), 2);
    assert_eq!(rig.convex.with_conflicting_results(), ["s1"]);

    assert_eq!(rig.post(Endpoint::RUNNING, &running("s1")).await.0, 200);
    assert_eq!(rig.convex.submission("s1").unwrap().status, Status::Running);
    let late = rig.convex.running_after_result();
    assert_eq!((late.len(), late[0].lateness, late[0].call), (1, gavel_mock_convex::Lateness::Started, 4));
    assert_eq!(rig.convex.final_count(), 0);
}

#[tokio::test]
async fn guarded_order_ignores_what_is_out_of_date() {
    let rig = Rig::start().await;
    rig.convex.guard_order();
    let send = async |endpoint: Endpoint, id: &str, body: Value| {
        let request = rig.request(endpoint.path()).json(&body).header("webhook-id", id);
        let status = request.send().await.unwrap().status().as_u16();
        (status, rig.convex.submission("s1").map(|state| state.status))
    };
    let failed = json!({ "submissionId": "s1", "status": "failed" });
    let steps = [
        (Endpoint::RUNNING, "running-s1", running("s1"), Status::Running),
        (Endpoint::RESULT, "result-s1", passed("s1"), Status::Passed),
        (Endpoint::RUNNING, "running-s1", running("s1"), Status::Passed),
        (Endpoint::RESULT, "last-word-s1", failed.clone(), Status::Passed),
        (Endpoint::RUNNING, "running-s1~2e2", running("s1"), Status::Running),
        (Endpoint::RESULT, "result-s1", passed("s1"), Status::Running),
        (Endpoint::RESULT, "result-s1~2e10", failed, Status::Failed),
        (Endpoint::RESULT, "result-s1~2e9", passed("s1"), Status::Failed),
    ];
    for (endpoint, id, body, status) in steps {
        assert_eq!(send(endpoint, id, body).await, (200, Some(status)), "{id}");
    }
    let applied: Vec<bool> =
        rig.convex.calls_of("s1").iter().map(|call| call.applied_at().is_some()).collect();
    assert_eq!(applied, [true, true, false, false, true, false, true, false]);
    assert_eq!(rig.post(Endpoint::RESULT, &passed("s1")).await.0, 400, "without an id");
    assert_eq!(send(Endpoint::RESULT, "result-s1~2ex", passed("s1")).await.0, 400);
}

#[tokio::test]
async fn invalid_arguments_are_500_without_a_reason() {
    let rig = Rig::start().await;
    let bad = json!({ "submissionId": "s1", "status": "passed", "stderr": null });
    let (status, body) = rig.post(Endpoint::RESULT, &bad).await;
    assert_eq!(status, 500);
    assert!(!body.to_string().contains("stderr"), "{body}");
    let calls = rig.convex.calls_of("s1");
    let answer = calls[0].answer().unwrap();
    assert_eq!(answer.reason.as_deref(), Some("stderr is not a string"));
    assert!(rig.convex.submission("s1").is_none());

    let missing = [json!({}), json!({ "submissionId": null, "status": "passed" })];
    for body in missing {
        assert_eq!(rig.post(Endpoint::RESULT, &body).await.0, 400);
    }
    let lone_surrogate =
        rig.request(Endpoint::RESULT.path()).body(r#"{"submissionId":"s1","stderr":"\ud800"}"#);
    assert_eq!(lone_surrogate.send().await.unwrap().status(), 500);
}

#[tokio::test]
async fn unknown_submission_and_wrong_kind_are_500() {
    let rig = Rig::start().await;
    rig.convex.accept_unknown(false);
    assert_eq!(rig.post(Endpoint::RUNNING, &running("s1")).await.0, 500);
    rig.convex.add_submission("s1", SubmissionKind::Personalized);
    assert_eq!(rig.convex.submission("s1").unwrap().status, Status::Queued);
    assert_eq!(rig.post(Endpoint::RUNNING, &running("s1")).await.0, 500);
    assert_eq!(rig.post(Endpoint::PERSONALIZED_RUNNING, &running("s1")).await.0, 200);
    assert_eq!(rig.post(Endpoint::PERSONALIZED_RESULT, &passed("s1")).await.0, 200);
}

#[tokio::test]
async fn document_over_1_mib_is_rejected_and_changes_nothing() {
    let rig = Rig::start().await;
    let big = "x".repeat(600 << 10);
    let first = json!({ "submissionId": "s1", "status": "failed", "stderr": big });
    let second = json!({ "submissionId": "s1", "status": "error", "compileOutput": big });
    assert_eq!(rig.post(Endpoint::RESULT, &first).await.0, 200);
    assert_eq!(rig.post(Endpoint::RESULT, &second).await.0, 500);
    assert_eq!(rig.convex.submission("s1").unwrap().status, Status::Failed);
    let flood = json!({ "submissionId": "s2", "status": "failed", "stderr": "x".repeat(9 << 20) });
    // Refused before it is read to its end, so the client may see the connection end instead.
    let refused = rig.try_post(Endpoint::RESULT, &flood).await;
    assert!(refused.is_err() || refused.unwrap().status() == 413);
}

#[tokio::test]
async fn wrong_paths_and_methods_are_404() {
    let rig = Rig::start().await;
    for path in ["/coding/test-cases", "//coding/testcases", "/coding/testcases/", "/"] {
        assert_eq!(rig.request(path).send().await.unwrap().status(), 404, "{path}");
    }
    assert_eq!(rig.get(Endpoint::TEST_CASES.path()).await.status(), 404);
    assert_eq!(rig.convex.wrong_paths().len(), 5);
    assert_eq!(rig.convex.call_count(None), 0);
}

#[tokio::test]
async fn calls_are_recorded_with_selected_headers() {
    let rig = Rig::start().await;
    let request = rig.request(Endpoint::RUNNING.path()).json(&running("s1"));
    let headers =
        [("X-Request-Id", "r1"), ("Webhook-Id", "w1"), ("Authorization", "Bearer k"), ("X-Other", "x")];
    let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    assert_eq!(request.send().await.unwrap().status(), 200);
    let calls = rig.convex.calls();
    let call = &calls[0];
    assert_eq!((call.number, call.endpoint, call.status()), (1, Endpoint::RUNNING, Some(200)));
    assert_eq!(call.id.as_deref(), Some("s1"));
    assert_eq!(*call.body, running("s1"));
    assert_eq!((call.header("x-request-id"), call.header("webhook-id")), (Some("r1"), Some("w1")));
    assert_eq!((call.header("authorization"), call.header("x-other")), (Some("Bearer k"), None));
    let applied = call.applied_at().unwrap();
    assert!(call.received_at <= applied && applied <= call.answer().unwrap().at);
}

#[tokio::test]
async fn records_are_bounded_and_can_be_turned_off() {
    let rig = Rig::start().await;
    rig.convex.set_limits(Limits { calls: 2, submissions: 3, ..Limits::default() });
    for id in ["s1", "s2", "s3", "s4"] {
        assert_eq!(rig.post(Endpoint::RESULT, &passed(id)).await.0, 200);
    }
    let kept: Vec<_> = rig.convex.calls().iter().map(|call| call.number).collect();
    assert_eq!(kept, [3, 4]);
    assert!(rig.convex.submission("s1").is_none() && rig.convex.submission("s2").is_some());
    assert_eq!((rig.convex.call_count(None), rig.convex.final_count()), (4, 3));
    rig.convex.count_only();
    assert_eq!(rig.post(Endpoint::RESULT, &passed("s4")).await.0, 200);
    assert_eq!((rig.convex.call_count(Endpoint::RESULT), rig.convex.calls().len()), (5, 2));
    assert_eq!(rig.convex.submission("s4").unwrap().result_calls, 2);
}

#[tokio::test]
async fn rejected_results_count_against_the_limit() {
    let rig = Rig::start().await;
    rig.convex.set_limits(Limits { submission_bytes: 3 << 20, call_bytes: 3 << 20, ..Limits::default() });
    for id in ["s1", "s2", "s3"] {
        let big = json!({ "submissionId": id, "status": "failed", "stderr": "x".repeat(2 << 20) });
        assert_eq!(rig.post(Endpoint::RESULT, &big).await.0, 500);
    }
    assert_eq!(rig.convex.calls().len(), 1);
    assert!(rig.convex.distinct_results("s2").is_empty() && rig.convex.distinct_results("s3").len() == 1);
}

#[tokio::test]
async fn pages_show_questions_and_submissions() {
    let rig = Rig::start().await;
    rig.post(Endpoint::RESULT, &passed("s1")).await;
    let overview = rig.get("/").await.text().await.unwrap();
    assert!(overview.contains("sum") && overview.contains("s1</a><td>passed"), "{overview}");
    let state: Value = rig.get("/submissions/s1").await.json().await.unwrap();
    assert_eq!((&state["status"], &state["fields"]["totalCount"]), (&json!("passed"), &json!(1)));
    assert_eq!(rig.get("/submissions/s2").await.status(), 404);
}

#[test]
fn invalid_question_is_named_in_the_error() {
    let text = |json: &str| questions::from_json(json).unwrap_err().to_string();
    assert_eq!(text("{}"), "the questions are not a JSON list of {kind, question, testCases}");
    assert_eq!(text(r#"[{"kind":"standard"}]"#), "question number 0 has no question._id");
    assert_eq!(
        text(r#"[{"kind":"standard","question":{"_id":"q"}}]"#),
        "question q has no list of testCases"
    );
}
