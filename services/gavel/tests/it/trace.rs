//! `gavel trace`: what it finds out about submissions that ended, and about those that hang.

use gavel_domain::Status;
use gavel_standin::{Endpoint, Kind, Question};
use serde_json::Value;

use crate::events::{Rig, exit_code, gavel, queued, ready, running};
use crate::line::{Line, PATIENCE};

async fn trace(url: &str, id: &str) -> Value {
    let process = gavel(url, &["trace", id, "--json"]);
    assert_eq!(exit_code(&process).await, Some(0), "{:?}", process.log());
    process.log().iter().find_map(gavel_testkit::LogLine::json).unwrap()
}

async fn sentence(url: &str, id: &str) -> String {
    trace(url, id).await["runs"][0]["waitsFor"]["sentence"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_is_told_with_its_tests_and_callbacks() {
    let question = Question::build(Kind::Standard, "q").public("7", "7").hidden("8", "8").done();
    let line = Line::start(vec![question]).await;
    line.submit("a", "q", 71, "print(input())").await;
    line.result("a").await;
    let url = line.nats.url();
    let mut told = Value::Null;
    gavel_testkit::wait_until("the report", PATIENCE, async || {
        told = trace(&url, "a").await["runs"][0].take();
        told["waitsFor"].is_null()
    })
    .await
    .unwrap();
    let stages: Vec<_> =
        told["events"].as_array().unwrap().iter().map(|event| event["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["queued", "running", "judged", "reported"]);
    let spans = told["spans"].as_array().unwrap();
    let work: Vec<_> = spans.iter().map(|span| span["isWork"].as_bool().unwrap()).collect();
    assert_eq!(work, [false, true, false]);
    let tests = told["events"][2]["tests"].as_array().unwrap();
    assert_eq!(tests.len(), 2);
    assert!(
        tests.iter().all(|test| test["cpuUs"].as_u64() > Some(0) && test["memoryBytes"].as_u64() > Some(0))
    );
    let callbacks = told["callbacks"].as_array().unwrap();
    assert!(callbacks.iter().any(|call| call["call"] == "result" && call["attempts"] == 1), "{callbacks:?}");
    let drawn = gavel(&url, &["trace", "a"]);
    assert_eq!(exit_code(&drawn).await, Some(0));
    let text = drawn.log().into_iter().map(|line| line.text + "\n").collect::<String>();
    for part in ["submission a, question q, Python, standard", "█", "░", "exit 0", "It has ended"] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_says_what_it_waits_for() {
    let question = Question::build(Kind::Standard, "q").public("7", "7").done();
    let line = Line::start(vec![question]).await;
    let url = line.nats.url();
    let cases = line.convex.hold(Endpoint::TEST_CASES);
    line.submit("a", "q", 71, "print(input())").await;
    cases.wait_arrived(1, PATIENCE).await.unwrap();
    let said = sentence(&url, "a").await;
    assert!(said.starts_with("a fetcher has had it for"), "{said}");
    let result = line.convex.hold_before(Endpoint::RESULT);
    cases.release();
    result.wait_arrived(1, PATIENCE).await.unwrap();
    let said = sentence(&url, "a").await;
    assert!(said.starts_with("a reporter has had the verdict for"), "{said}");
    result.release();
    line.convex.wait_final("a", PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_in_a_queue_is_counted() {
    let rig = Rig::start().await;
    for id in ["a", "b", "c"] {
        rig.publish(&queued(id)).await;
        rig.publish(&ready(id)).await;
    }
    rig.publish(&queued("d")).await;
    let url = rig.nats.url();
    assert!(sentence(&url, "d").await.contains("fetcher queue"));
    let told = trace(&url, "c").await["runs"][0]["waitsFor"].take();
    assert_eq!((&told["stage"], &told["ahead"]), (&"judge".into(), &2.into()));
    assert!(
        told["sentence"].as_str().unwrap().contains("2 ahead, 0 in hand, and nobody takes any"),
        "{told}"
    );
    rig.whole("done", Status::Passed).await;
    rig.publish(&running("a")).await;
    let told = trace(&url, "c").await["runs"][0]["waitsFor"].take();
    assert!(told["aboutMs"].as_u64() > Some(60_000), "three at one a minute: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_id_and_a_wrong_one_are_told_apart() {
    let rig = Rig::start().await;
    let unknown = rig.gavel(&["trace", "nobody"]);
    assert_eq!(exit_code(&unknown).await, Some(66));
    assert!(unknown.log().iter().any(|line| line.contains("nothing is known of nobody")));
    assert_eq!(exit_code(&rig.gavel(&["trace", "a.b"])).await, Some(64));
    assert_eq!(exit_code(&gavel("nats://127.0.0.1:9", &["trace", "a"])).await, Some(69));
}
