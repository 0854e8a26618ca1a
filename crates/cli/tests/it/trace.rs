//! `gavel trace`: what it shows about finished and about pending submissions.

use std::time::Duration;

use gavel_domain::Status;
use gavel_domain::heartbeat::{DependencyStatus, Heartbeat};
use gavel_mock_convex::{Endpoint, HttpFault, Matcher, Question, SubmissionKind};
use gavel_testkit::{NatsServer, TEST_TIMEOUT, wait_until};
use serde_json::Value;

use crate::events::{Rig, exit_code, gavel, gavel_at, lines, queued, ready, running};
use crate::pipeline::Pipeline;

async fn trace(nats: &NatsServer, id: &str) -> Value {
    let process = gavel(nats, &["trace", id, "--json"]);
    assert_eq!(exit_code(&process).await, Some(0), "{:?}", process.log());
    process.log().iter().find_map(gavel_testkit::LogLine::json).unwrap()
}

async fn sentence(nats: &NatsServer, id: &str) -> String {
    trace(nats, id).await["runs"][0]["waitsFor"]["sentence"].as_str().unwrap_or_default().to_owned()
}

/// Asserts that the trace of submission `a`, as text, contains all these parts.
async fn expect_printed(nats: &NatsServer, parts: &[&str]) {
    let drawn = gavel(nats, &["trace", "a"]);
    assert_eq!(exit_code(&drawn).await, Some(0));
    let text = lines(&drawn).join("\n");
    for part in parts {
        assert!(text.contains(part), "{text}");
    }
}

/// Waits until the first run of a submission waits for nothing, and returns it as `gavel trace` prints it.
async fn ended_run(nats: &NatsServer, id: &str) -> Value {
    let mut run = Value::Null;
    wait_until("the end of the run", TEST_TIMEOUT, async || {
        run = trace(nats, id).await["runs"][0].take();
        run["waitsFor"].is_null()
    })
    .await
    .unwrap();
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_shows_tests_and_callbacks() {
    let question = Question::build(SubmissionKind::Standard, "q").public("7", "7").hidden("8", "8").done();
    let pipeline = Pipeline::start(vec![question]).await;
    pipeline.submit("a", "q", 71, "print(input())").await;
    pipeline.result("a").await;
    let nats = &pipeline.nats;
    let run = ended_run(nats, "a").await;
    let stages: Vec<_> =
        run["events"].as_array().unwrap().iter().map(|event| event["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["queued", "running", "judged", "reported"]);
    let after: Vec<_> =
        run["spans"].as_array().unwrap().iter().map(|span| span["after"].as_str().unwrap()).collect();
    assert_eq!(after, ["queued", "ready", "running", "judged"]);
    let spans = run["spans"].as_array().unwrap();
    let work: Vec<_> = spans.iter().map(|span| span["isWork"].as_bool().unwrap()).collect();
    assert_eq!(work, [false, false, true, false]);
    let tests = run["events"][2]["tests"].as_array().unwrap();
    assert_eq!(tests.len(), 2);
    assert!(
        tests.iter().all(|test| test["cpuUs"].as_u64() > Some(0) && test["memoryBytes"].as_u64() > Some(0))
    );
    let callbacks = run["callbacks"].as_array().unwrap();
    let calls: Vec<_> =
        callbacks.iter().map(|call| (call["call"].as_str(), call["status"].as_u64())).collect();
    assert_eq!(calls, [(Some("running"), Some(200)), (Some("result"), Some(200))]);
    expect_printed(nats, &["submission a, question q, Python, standard", "█", "░", "exit 0", "Ended "]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_shows_each_callback_with_its_answer() {
    let question = Question::build(SubmissionKind::Standard, "q").public("7", "7").done();
    let pipeline = Pipeline::start(vec![question]).await;
    let nats = &pipeline.nats;
    let refused = pipeline.convex.fault(Matcher::of(Endpoint::RESULT), HttpFault::status(503));
    pipeline.submit("a", "q", 71, "print(input())").await;
    // While Convex rejects calls, the services that call it report it in their heartbeats.
    let mut counted = Value::Null;
    wait_until("what the reporter sees", TEST_TIMEOUT, async || {
        counted = crate::status::status(nats).await;
        counted["peers"]
            .as_array()
            .unwrap()
            .iter()
            .any(|peer| peer["problem"].as_str().is_some_and(|it| it.contains("503")))
    })
    .await
    .unwrap_or_else(|_| panic!("{counted}"));
    // The trace listens to heartbeats only once the submission has waited for a while.
    let mut said = String::new();
    wait_until("the problem in the sentence", TEST_TIMEOUT, async || {
        said = sentence(nats, "a").await;
        said.contains("; problem seen by the reporter: Convex answer") && said.contains("the breaker is open")
    })
    .await
    .unwrap_or_else(|_| panic!("{said}"));
    pipeline.convex.remove_fault(refused);
    pipeline.result("a").await;
    let run = ended_run(nats, "a").await;
    let calls = run["callbacks"].as_array().unwrap();
    let of_result = calls.iter().filter(|call| call["call"] == "result");
    let statuses: Vec<_> = of_result.map(|call| call["status"].as_u64().unwrap()).collect();
    let (last, before) = statuses.split_last().unwrap();
    assert!(*last == 200 && before.len() >= 3 && before.iter().all(|&status| status == 503), "{calls:?}");
    let begun: Vec<_> = calls.iter().map(|call| call["begunMs"].as_u64().unwrap()).collect();
    assert!(begun.is_sorted() && calls.iter().all(|call| call["tookMs"].is_u64()), "{calls:?}");
    expect_printed(nats, &["waiting for a judge", "503 to reporter-", "503, 200 by reporter-"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_shows_how_long_convex_asks_to_wait() {
    let question = Question::build(SubmissionKind::Standard, "q").public("7", "7").done();
    let pipeline = Pipeline::start(vec![question]).await;
    let nats = &pipeline.nats;
    pipeline.convex.fault(Matcher::of(Endpoint::RESULT), HttpFault::retry_after(429, 9_999_999_999));
    pipeline.submit("a", "q", 71, "print(input())").await;
    let mut said = String::new();
    wait_until("the wait in the sentence", TEST_TIMEOUT, async || {
        said = sentence(nats, "a").await;
        said.contains(
            "Convex answers 429 and asks to wait 9999999999 s, of which 300 s are granted: the next attempt",
        )
    })
    .await
    .unwrap_or_else(|_| panic!("{said}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_shows_callbacks_of_a_reporter_that_was_killed() {
    let question = Question::build(SubmissionKind::Standard, "q").public("7", "7").done();
    let pipeline = Pipeline::start(vec![question]).await;
    let refused = pipeline.convex.fault(Matcher::of(Endpoint::RESULT), HttpFault::status(503));
    pipeline.submit("a", "q", 71, "print(input())").await;
    let answers = async || {
        let run = trace(&pipeline.nats, "a").await["runs"][0].take();
        let calls = run["callbacks"].as_array().cloned().unwrap_or_default();
        calls.iter().map(|call| (call["call"].clone(), call["status"].clone())).collect::<Vec<_>>()
    };
    let refusal = (Value::from("result"), Value::from(503));
    wait_until("two refusals", TEST_TIMEOUT, async || {
        answers().await.iter().filter(|answer| **answer == refusal).count() >= 2
    })
    .await
    .unwrap();
    pipeline.reporter.kill().await.unwrap();
    let before = answers().await;
    pipeline.convex.remove_fault(refused);
    pipeline.reporter.restart().await.unwrap();
    pipeline.result("a").await;
    ended_run(&pipeline.nats, "a").await;
    let after = answers().await;
    assert_eq!(after[..before.len()], before, "all of the killed one");
    assert_eq!(after.first(), Some(&(Value::from("running"), Value::from(200))));
    assert_eq!(after.last(), Some(&(Value::from("result"), Value::from(200))));
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_names_what_a_submission_waits_for() {
    let question = Question::build(SubmissionKind::Standard, "q").public("7", "7").done();
    let pipeline = Pipeline::start(vec![question]).await;
    let nats = &pipeline.nats;
    let cases = pipeline.convex.hold(Endpoint::TEST_CASES);
    pipeline.submit("a", "q", 71, "print(input())").await;
    cases.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    let said = sentence(nats, "a").await;
    assert!(said.starts_with("a fetcher has worked on it or waits to retry for"), "{said}");
    let result = pipeline.convex.hold_before(Endpoint::RESULT);
    cases.release();
    result.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    let said = sentence(nats, "a").await;
    assert!(said.starts_with("a reporter has had the verdict for"), "{said}");
    result.release();
    pipeline.convex.wait_final("a", TEST_TIMEOUT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_counts_queue_position() {
    let rig = Rig::start().await;
    for id in ["a", "b", "c"] {
        rig.publish(&queued(id)).await;
        rig.publish(&ready(id)).await;
    }
    rig.publish(&queued("d")).await;
    let nats = &rig.nats;
    assert!(sentence(nats, "d").await.contains("fetcher queue"));
    let waits_for = trace(nats, "c").await["runs"][0]["waitsFor"].take();
    assert_eq!((&waits_for["stage"], &waits_for["ahead"]), (&"judge".into(), &2.into()));
    assert!(
        waits_for["sentence"].as_str().unwrap().contains("2 ahead, 0 in progress, no judge takes any"),
        "{waits_for}"
    );
    rig.whole("done", Status::Passed).await;
    rig.publish(&running("a")).await;
    let waits_for = trace(nats, "c").await["runs"][0]["waitsFor"].take();
    assert!(waits_for["aboutMs"].as_u64() > Some(60_000), "three at one a minute: {waits_for}");
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_shows_why_judges_cannot_work() {
    let rig = Rig::start().await;
    let nats = &rig.nats;
    // Heartbeats of a judge that accepts no work.
    let away = DependencyStatus {
        name: "Judge0".to_owned(),
        problem: Some("Judge0 is unreachable".to_owned()),
        since_ms: Some(1),
    };
    let heartbeat = Heartbeat {
        service: "judge".to_owned(),
        instance: "judge-x".to_owned(),
        version: "1".to_owned(),
        started_at_ms: 1,
        slots: 3,
        busy: 0,
        languages: Vec::new(),
        dependencies: vec![away],
        problems: Vec::new(),
    };
    let bus = rig.bus.clone();
    let judge = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        loop {
            ticks.tick().await;
            bus.send_heartbeat(&heartbeat).await.unwrap();
        }
    });
    rig.publish(&queued("a")).await;
    rig.publish(&ready("a")).await;
    let mut said = String::new();
    wait_until("the judge's word", TEST_TIMEOUT, async || {
        said = sentence(nats, "a").await;
        said.ends_with(
            "0 ahead, 0 in progress, 3 slots, no judge takes any; problem seen by the judge: Judge0 is unreachable",
        )
    })
    .await
    .unwrap_or_else(|_| panic!("{said}"));
    judge.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_distinguishes_unknown_and_invalid_ids() {
    let rig = Rig::start().await;
    let unknown = rig.gavel(&["trace", "nobody"]);
    assert_eq!(exit_code(&unknown).await, Some(66));
    assert!(unknown.log().iter().any(|line| line.contains("unknown submission nobody")));
    assert_eq!(exit_code(&rig.gavel(&["trace", "a.b"])).await, Some(64));
    assert_eq!(exit_code(&gavel_at("nats://127.0.0.1:9", &["trace", "a"])).await, Some(69));
}
