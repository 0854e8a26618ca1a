//! `gavel dead`: dead letters are shown, retried from their stage, or dropped.

use async_nats::jetstream;
use gavel_domain::event::{DeadLetter, Stage};
use gavel_mock_convex::{Endpoint, HttpFault, Matcher, Question, Status, SubmissionKind};
use gavel_proto::WireEvent as _;
use gavel_testkit::{LogLine, Process, TEST_TIMEOUT, wait_until};
use serde_json::{Value, json};

use crate::pipeline::Pipeline;

const ECHO: &str = "print(input())  # a secret of the author's";

fn questions() -> Vec<Question> {
    vec![Question::build(SubmissionKind::Standard, "q").public("7", "7").hidden("40404", "40404").done()]
}

/// A finished command: its exit code and its output.
pub(crate) struct FinishedCommand {
    pub(crate) code: i32,
    pub(crate) lines: Vec<LogLine>,
}

impl FinishedCommand {
    pub(crate) fn json(&self) -> Vec<Value> {
        self.lines.iter().filter_map(LogLine::json).collect()
    }

    pub(crate) fn contains(&self, text: &str) -> bool {
        self.lines.iter().any(|line| line.contains(text))
    }
}

/// Runs `gavel` against a pipeline.
pub(crate) async fn gavel(pipeline: &Pipeline, arguments: &[&str]) -> FinishedCommand {
    let process = Process::builder(env!("CARGO_BIN_EXE_gavel"))
        .args(arguments)
        .envs(pipeline.nats.login("ops"))
        // No call hangs at Convex, unless a test holds it.
        .env("REQUEST_TIMEOUT_MS", "1")
        .env("RUNNING_LINGER_MS", "1")
        .start()
        .unwrap();
    let code = process.wait_exit(TEST_TIMEOUT).await.unwrap().code().unwrap();
    FinishedCommand { code, lines: process.log() }
}

/// Waits until there are exactly `count` dead letters.
pub(crate) async fn wait_dead_letters(pipeline: &Pipeline, count: usize) -> Vec<Value> {
    let mut dead_letters = Vec::new();
    wait_until("dead letters", TEST_TIMEOUT, async || {
        dead_letters = gavel(pipeline, &["dead", "list", "--json"]).await.json();
        dead_letters.len() == count
    })
    .await
    .unwrap();
    dead_letters
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_retry_sends_rejected_result_again() {
    let pipeline = Pipeline::start(questions()).await;
    pipeline.convex.fault(Matcher::of(Endpoint::RESULT).first(1), HttpFault::status(422));
    pipeline.submit("a", "q", 71, ECHO).await;
    let dead_letters = wait_dead_letters(&pipeline, 1).await;
    assert_eq!(dead_letters[0]["id"], "a");
    assert_eq!((&dead_letters[0]["stage"], &dead_letters[0]["attempts"]), (&json!("reporter"), &json!(1)));
    assert_eq!(dead_letters[0]["cause"], "Convex answered 422");

    let shown = gavel(&pipeline, &["dead", "show", "a", "--json"]).await;
    let dead_letter = &shown.json()[0];
    assert_eq!(dead_letter["message"]["result"]["status"], "passed");
    let events: Vec<_> =
        dead_letter["history"].as_array().unwrap().iter().map(|moment| &moment["event"]).collect();
    assert_eq!(events, ["queued", "running", "judged"]);
    let plain = gavel(&pipeline, &["dead", "show", "a"]).await;
    assert!(plain.contains("cause: Convex answered 422"));
    for shown in [&shown, &plain] {
        assert!(!shown.contains("secret") && !shown.contains("40404"), "hidden data or the source is shown");
    }

    let retried = gavel(&pipeline, &["dead", "retry", "a", "--json"]).await;
    let expected = json!({ "id": "a", "outcome": "begun", "generation": 2, "stage": "reporter" });
    assert_eq!((retried.code, retried.json()), (0, vec![expected]));
    let state = pipeline.convex.wait_final("a", TEST_TIMEOUT).await.unwrap();
    assert_eq!((state.status, state.running_calls), (Status::Passed, 1), "it was not judged again");
    wait_dead_letters(&pipeline, 0).await;
    assert_eq!(gavel(&pipeline, &["dead", "retry", "a"]).await.code, 1, "the dead letter is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_retry_of_a_stage_fetches_test_cases_again() {
    let pipeline = Pipeline::start_with(questions(), &[("FETCH_GIVE_UP_AFTER_S", "1")]).await;
    let fault = pipeline.convex.fault(Endpoint::TEST_CASES, HttpFault::status(500));
    for id in ["a", "b"] {
        pipeline.submit(id, "q", 71, ECHO).await;
    }
    wait_dead_letters(&pipeline, 2).await;
    for id in ["a", "b"] {
        pipeline
            .convex
            .wait_submission(id, TEST_TIMEOUT, |state| state.status == Status::Error)
            .await
            .unwrap();
    }
    let source = gavel(&pipeline, &["dead", "show", "a", "--show-source"]).await;
    assert!(source.contains("secret"), "--show-source shows the program");
    assert!(!gavel(&pipeline, &["dead", "show", "a"]).await.contains("secret"));
    pipeline.convex.remove_fault(fault);

    let none = gavel(&pipeline, &["dead", "retry", "--stage", "judge"]).await;
    assert_eq!((none.code, none.lines.len()), (0, 0));
    // Two results in flight would arrive in any order, so Convex must have the error first.
    wait_until("both to be begun", TEST_TIMEOUT, async || {
        gavel(&pipeline, &["dead", "retry", "--stage", "fetcher", "--since", "1h"]).await.code == 0
    })
    .await
    .unwrap();
    for id in ["a", "b"] {
        let passed = |state: &gavel_mock_convex::SubmissionState| state.status == Status::Passed;
        let state = pipeline.convex.wait_submission(id, TEST_TIMEOUT, passed).await.unwrap();
        assert_eq!(state.fields["firstFailure"], json!({}), "the reason of the error is gone");
        assert_eq!(state.result_calls, 2);
    }
    wait_dead_letters(&pipeline, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn undecodable_dead_letter_is_shown_and_dropped() {
    let pipeline = Pipeline::start(questions()).await;
    let raw = jetstream::new(async_nats::connect(pipeline.nats.url()).await.unwrap());
    raw.publish("submission.queued.junk", "\u{1b}[31mno event".into()).await.unwrap().await.unwrap();
    raw.publish("submission.queued.junk.x", "no event".into()).await.unwrap().await.unwrap();
    let dead_letters = wait_dead_letters(&pipeline, 2).await;
    for key in ["junk", "junk.x"] {
        assert!(dead_letters.iter().any(|dead_letter| dead_letter["key"] == key), "{dead_letters:?}");
    }
    let shown = gavel(&pipeline, &["dead", "show", "junk", "--json"]).await;
    for dead_letter in shown.json() {
        let message = &dead_letter["message"];
        assert!(
            message["unreadable"].as_str().unwrap().starts_with("its message cannot be decoded"),
            "{message}"
        );
        assert!(message["sha256"].is_string());
    }
    let retried = gavel(&pipeline, &["dead", "retry", "junk"]).await;
    assert_eq!(retried.code, 1);
    assert!(retried.contains("it cannot be retried"));
    let dropped = gavel(&pipeline, &["dead", "drop", "junk", "--json"]).await;
    let expected = json!({ "id": "junk", "outcome": "dropped", "letters": 2 });
    assert_eq!((dropped.code, dropped.json()), (0, vec![expected]));
    wait_dead_letters(&pipeline, 0).await;
    assert_eq!(gavel(&pipeline, &["dead", "drop", "junk"]).await.code, 1);
}

/// The stream for large messages is optional.
#[tokio::test(flavor = "multi_thread")]
async fn dead_letter_without_the_stream_of_its_message_is_shown_dropped_and_rejudged() {
    let pipeline = Pipeline::start(questions()).await;
    pipeline.submit("a", "q", 71, ECHO).await;
    assert_eq!(pipeline.result("a").await["status"], "passed");
    let raw = jetstream::new(async_nats::connect(pipeline.nats.url()).await.unwrap());
    raw.delete_stream("DEAD_MESSAGES").await.unwrap();
    for key in ["a", "b"] {
        let dead_letter = DeadLetter {
            key: key.to_owned(),
            stage: Stage::Fetcher,
            cause: "for the test".to_owned(),
            attempts: 1,
            stored_at_ms: 1,
            subject: format!("submission.queued.{key}"),
            payload: Vec::new(),
            kept_on: Some("dead-message.SUB_QUEUED.1.1".to_owned()),
        };
        let subject = format!("submission.dead.{key}");
        raw.publish(subject, dead_letter.encode()).await.unwrap().await.unwrap();
    }
    let shown = gavel(&pipeline, &["dead", "show", "a"]).await;
    assert!(shown.code == 0 && shown.contains("its message is no longer stored"), "{:?}", shown.lines);
    let retried = gavel(&pipeline, &["dead", "retry", "a"]).await;
    assert!(retried.code == 1 && retried.contains("its message is no longer stored"), "{:?}", retried.lines);
    let dropped = gavel(&pipeline, &["dead", "drop", "b"]).await;
    assert_eq!(dropped.code, 0, "{:?}", dropped.lines);
    // Refused until the result is reported.
    wait_until("the new generation", TEST_TIMEOUT, async || {
        gavel(&pipeline, &["rejudge", "a"]).await.code == 0
    })
    .await
    .unwrap();
    wait_dead_letters(&pipeline, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_use_is_64_and_an_absent_line_69() {
    let run = async |arguments: &[&str]| {
        let process = Process::builder(env!("CARGO_BIN_EXE_gavel"))
            .args(arguments)
            .env("NATS_URL", "nats://127.0.0.1:9")
            .start()
            .unwrap();
        process.wait_exit(TEST_TIMEOUT).await.unwrap().code()
    };
    let wrong: [&[&str]; 8] = [
        &["dead"],
        &["dead", "retry"],
        &["dead", "retry", "a", "--stage", "judge"],
        &["dead", "drop"],
        &["dead", "list", "--since", "yesterday"],
        &["rejudge"],
        &["rejudge", "a.b"],
        &["rejudge", "--question", "q"],
    ];
    for arguments in wrong {
        assert_eq!(run(arguments).await, Some(64), "{arguments:?}");
    }
    assert_eq!(run(&["dead", "list"]).await, Some(69));
    assert_eq!(run(&["rejudge", "a"]).await, Some(69));
}
