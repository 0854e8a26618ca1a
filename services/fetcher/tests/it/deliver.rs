//! From queued to ready: the content of the bundle, and what the ready event carries over.

use std::time::Duration;

use gavel_bus::Bundles;
use gavel_domain::{Comparison, Limits, SubmissionKind, Visibility};
use gavel_mock_convex::{Endpoint, Question};
use gavel_testkit::{NatsServer, TEST_TIMEOUT};
use serde_json::{Value, json};

use crate::rig::{Counts, Rig, question, queued};

fn case(visibility: &str, order: f64, stdin: &str) -> Value {
    json!({ "_id": stdin, "visibility": visibility, "stdin": stdin, "expectedStdout": "é\0\r\n", "order": order,
        "more": null })
}

fn document(id: &str) -> Value {
    let comparison = json!({ "trimOutputs": false, "normalizeWhitespace": true, "caseSensitive": false });
    json!({
        "question": { "_id": id, "_creationTime": 1.5, "timeLimitSeconds": 0.25, "memoryLimitMb": 0.5,
            "outputComparison": comparison },
        "testCases": [
            case("public", 10.0, "last"), case("hidden", 1.5, "second"),
            case("public", -3.0, "first"), case("hidden", 1.5, "third"),
        ],
    })
}

#[tokio::test]
async fn submission_becomes_ready_with_the_tests_of_its_question() {
    let exact = Question::new(gavel_mock_convex::SubmissionKind::Standard, &document("q1")).unwrap();
    let mut rig = Rig::start(vec![exact]).await;
    let event = queued("s1", "q1", SubmissionKind::Standard);
    rig.queue_with(&event, "req-1").await;
    let ready = rig.ready("s1").await;
    assert!(ready.submission == event.submission && ready.source == event.source);
    let headers = rig.events.wait_message("ready", "s1").await.headers.unwrap();
    assert_eq!(headers.get("Gavel-Request-Id").unwrap().as_str(), "req-1");
    assert_eq!(headers.get("Gavel-Schema").unwrap().as_str(), "gavel.v1.Ready");
    assert!(headers.get("traceparent").is_some());

    let bundle = Bundles::new(rig.bus.clone()).get(&ready.bundle).await.unwrap();
    assert_eq!(bundle.limits, Limits { cpu_time: Duration::from_millis(250), memory_bytes: 512 << 10 });
    let comparison = Comparison { trim_outputs: false, normalize_whitespace: true, case_sensitive: false };
    assert_eq!(bundle.comparison, comparison);
    let tests: Vec<_> = bundle.tests.iter().map(|test| (test.stdin.as_str(), test.visibility)).collect();
    let (public, hidden) = (Visibility::Public, Visibility::Hidden);
    assert_eq!(tests, [("first", public), ("second", hidden), ("third", hidden), ("last", public)]);
    assert!(bundle.tests.iter().all(|test| test.expected_stdout == "é\0\r\n"));

    let calls = rig.convex.calls();
    assert_eq!((calls.len(), &*calls[0].body), (1, &json!({ "questionId": "q1" })));
    assert_eq!(calls[0].header("content-type"), Some("application/json"));
    assert_eq!(calls[0].header("x-request-id"), Some("req-1"));
    assert_eq!(rig.settled().await, Counts { ready: 1, judged: 0, dead: 0 });
}

#[tokio::test]
async fn submission_kinds_have_their_own_path_and_share_equal_bundles() {
    let questions =
        [gavel_mock_convex::SubmissionKind::Standard, gavel_mock_convex::SubmissionKind::Personalized]
            .map(|kind| Question::build(kind, "q1").public("1\n", "2\n").done());
    let mut rig = Rig::start(questions.to_vec()).await;
    rig.queue_with(&queued("s1", "q1", SubmissionKind::Standard), "r1").await;
    let standard = rig.ready("s1").await;
    rig.queue_with(&queued("s2", "q1", SubmissionKind::Personalized), "r2").await;
    let personalized = rig.ready("s2").await;
    let paths: Vec<_> = rig.convex.calls().iter().map(|call| call.endpoint).collect();
    assert_eq!(paths, [Endpoint::TEST_CASES, Endpoint::PERSONALIZED_TEST_CASES]);
    assert!(rig.convex.wrong_paths().is_empty());
    assert_eq!(personalized.submission.kind, SubmissionKind::Personalized);
    assert_eq!(standard.bundle, personalized.bundle);
}

#[tokio::test]
async fn large_question_fits_a_server_with_default_limits() {
    // The default limit of nats-server, far below the size of the question.
    let nats = NatsServer::builder().max_payload(1 << 20).start().await;
    let text = "0123456789abcdef".repeat(64 << 10);
    let mut big = Question::build(gavel_mock_convex::SubmissionKind::Standard, "big");
    for _ in 0..5 {
        big = big.hidden(&text, "x");
    }
    let mut rig = Rig::on(gavel_testkit::Rig::builder().nats(nats).questions(vec![big.done()]), &[]).await;
    let mut event = queued("s1", "big", SubmissionKind::Standard);
    event.source = "é".repeat(100_000);
    rig.queue_with(&event, "r1").await;
    let ready = rig.ready("s1").await;
    let bundle = Bundles::new(rig.bus.clone()).get(&ready.bundle).await.unwrap();
    assert_eq!(bundle.tests.len(), 5);
    assert!(bundle.tests.iter().all(|test| test.stdin == text) && ready.source == event.source);
}

#[tokio::test]
async fn malformed_messages_become_dead_letters_and_block_nothing() {
    let mut rig = Rig::start(vec![question("q1")]).await;
    for (id, payload) in [("x", &b"not protobuf"[..]), ("y", b"")] {
        rig.jetstream.client.publish(format!("submission.queued.{id}"), payload.into()).await.unwrap();
        let dead = rig.dead(id).await;
        assert_eq!((dead.key.as_str(), dead.stage.as_str(), dead.attempts), (id, "fetcher", 1));
        assert_eq!(dead.subject, format!("submission.queued.{id}"));
        assert!(dead.payload == payload && !dead.cause.is_empty());
    }
    rig.queue("s1", "q1").await;
    rig.ready("s1").await;
    assert_eq!(rig.settled().await, Counts { ready: 1, judged: 0, dead: 2 });
}

#[tokio::test]
async fn test_data_appears_in_no_event_and_no_log_line() {
    const SECRET: &str = "secret-test-data";
    let hidden =
        |id: &str| Question::build(gavel_mock_convex::SubmissionKind::Standard, id).hidden(SECRET, SECRET);
    let mut wrong = document("wrong");
    wrong["testCases"][0]["stdin"] = json!([SECRET]);
    wrong["testCases"][1]["visibility"] = json!(SECRET);
    let questions = vec![
        hidden("good").done(),
        hidden("limits").time_limit_seconds(0.0).done(),
        hidden("extra").field("timeLimitSeconds", json!(SECRET)).done(),
        Question::new(gavel_mock_convex::SubmissionKind::Standard, &wrong).unwrap(),
    ];
    let mut rig = Rig::with(questions, &[("LOG_LEVEL", "trace")]).await;
    for id in ["good", "limits", "extra", "wrong"] {
        rig.queue(id, id).await;
    }
    rig.ready("good").await;
    for id in ["limits", "extra", "wrong"] {
        rig.reason(id).await;
    }
    rig.settled().await;
    rig.fetcher.terminate().unwrap();
    assert_eq!(rig.fetcher.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
    for message in rig.events.received() {
        assert!(!String::from_utf8_lossy(&message.payload).contains(SECRET), "{}", message.subject);
    }
    for line in rig.fetcher.log() {
        assert!(!line.contains(SECRET) && !line.contains("print("), "{}", line.text);
        assert!(line.json().is_some(), "not JSON: {}", line.text);
    }
}

#[tokio::test]
async fn log_lines_name_submission_and_request() {
    let mut rig = Rig::start(vec![question("q1")]).await;
    rig.queue("s1", "q1").await;
    rig.ready("s1").await;
    rig.queue("s2", "none").await;
    rig.reason("s2").await;
    for (message, id) in [("submission ready", "s1"), ("question unusable", "s2")] {
        let about = |line: &gavel_testkit::LogLine| {
            line.field("/message") == Some(message.into()) && line.field("/submission_id") == Some(id.into())
        };
        let line = rig.fetcher.wait_log(message, TEST_TIMEOUT, about).await.unwrap();
        assert_eq!(line.field("/span/request_id"), Some(format!("req-{id}").into()), "{}", line.text);
    }
}
