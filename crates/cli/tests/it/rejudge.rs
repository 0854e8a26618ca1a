//! `gavel rejudge`: a new generation, and the verdict changes at Convex exactly once.

use std::time::Duration;

use async_nats::jetstream;
use gavel_bus::topology::{Durable, TopologySettings};
use gavel_bus::{Bus, NatsConfig, Outgoing, Stored, Trace};
use gavel_domain::event::{Queued, Rejudged, Reported, Stage};
use gavel_mock_convex::{Endpoint, HttpFault, Matcher, Question, Status, SubmissionKind};
use gavel_proto::WireEvent as _;
use gavel_testkit::{Process, TEST_TIMEOUT};
use serde_json::json;

use crate::dead::gavel;
use crate::pipeline::Pipeline;

const ECHO: &str = "print(input())";

fn question(expected: &str) -> Question {
    Question::build(SubmissionKind::Standard, "q").public("7", expected).done()
}

/// Waits until the report of this key is stored.
async fn wait_reported(pipeline: &Pipeline, key: &str) {
    let raw = jetstream::new(async_nats::connect(pipeline.nats.url()).await.unwrap());
    let stream = raw.get_stream_no_info("SUB_RESULT").await.unwrap();
    let subject = format!("submission.reported.{key}");
    let reported = async || stream.direct_get_last_for_subject(&subject).await.is_ok();
    gavel_testkit::wait_until(&format!("the report of {key}"), TEST_TIMEOUT, reported).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rejudge_changes_verdict_once_after_question_is_corrected() {
    let pipeline = Pipeline::start(vec![question("8")]).await;
    for id in ["a", "b"] {
        pipeline.submit(id, "q", 71, ECHO).await;
        wait_reported(&pipeline, id).await;
    }
    assert_eq!(pipeline.convex.submission("a").unwrap().status, Status::Failed);
    pipeline.convex.put_question(question("7"));

    let dry = gavel(&pipeline, &["rejudge", "a", "--dry-run", "--json"]).await;
    let would = json!({ "id": "a", "outcome": "would begin", "generation": 2, "stage": "fetcher" });
    assert_eq!((dry.code, dry.json()), (0, vec![would]));
    let all = ["rejudge", "--question", "q", "--since", "1h"];
    let begun = gavel(&pipeline, &all).await;
    assert_eq!((begun.code, begun.lines.len()), (0, 2), "a dry run has begun nothing");
    for id in ["a", "b"] {
        wait_reported(&pipeline, &format!("{id}.2")).await;
        let state = pipeline.convex.submission(id).unwrap();
        assert_eq!((state.status, state.result_calls), (Status::Passed, 2));
        assert_eq!(state.fields["firstFailure"], json!({}), "nothing is left of the failure");
    }
    let other = gavel(&pipeline, &["rejudge", "--question", "other", "--since", "1h"]).await;
    assert_eq!((other.code, other.lines.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn rejudge_of_a_question_continues_with_refused_submissions() {
    // The call that is held takes as long as two commands.
    let pipeline = Pipeline::start_with(vec![question("8")], &[("REQUEST_TIMEOUT_MS", "60000")]).await;
    for id in ["a", "b"] {
        pipeline.submit(id, "q", 71, ECHO).await;
        wait_reported(&pipeline, id).await;
    }
    let hold = pipeline.convex.hold_before(Matcher::of(Endpoint::RESULT).id("c"));
    pipeline.submit("c", "q", 71, ECHO).await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    pipeline.convex.put_question(question("7"));
    let all = ["rejudge", "--question", "q", "--since", "1h", "--json"];
    let begun = async |expected: &[&str]| {
        let run = gavel(&pipeline, &all).await;
        let lines = run.json();
        let begun = lines.iter().filter(|line| line["outcome"] == "begun");
        assert_eq!(begun.map(|line| line["id"].as_str().unwrap()).collect::<Vec<_>>(), expected, "{lines:?}");
        run
    };
    assert_eq!(begun(&["a", "b"]).await.code, 1, "one is refused");
    assert_eq!(begun(&[]).await.code, 1, "still refused, and no other is judged again");
    hold.release();
    for key in ["c", "a.2", "b.2"] {
        wait_reported(&pipeline, key).await;
    }
    // Another range is another run.
    let wider = ["rejudge", "--question", "q", "--since", "2h", "--dry-run", "--json"];
    let would = gavel(&pipeline, &wider).await.json();
    assert_eq!(would.iter().map(|line| line["id"].clone()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(would.iter().all(|line| line["outcome"] == "would begin"), "{would:?}");
    let continued = begun(&["c"]).await;
    assert_eq!(continued.code, 0);
    assert!(continued.contains("2 done, 1 left"));
    let run = &continued.json()[0]["run"];
    assert_eq!((&run["done"], &run["left"]), (&json!(2), &json!(1)), "{run}");
    wait_reported(&pipeline, "c.2").await;
    // The run is complete, so the next command begins another one.
    assert_eq!(begun(&["a", "b", "c"]).await.code, 0);
    wait_reported(&pipeline, "c.3").await;
    assert_eq!(pipeline.convex.submission("c").unwrap().result_calls, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejudge_rejects_unfinished_or_unknown_submission() {
    let pipeline = Pipeline::start(vec![question("7")]).await;
    let hold = pipeline.convex.hold_before(Endpoint::RESULT);
    pipeline.submit("a", "q", 71, ECHO).await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    let early = gavel(&pipeline, &["rejudge", "a", "absent"]).await;
    assert_eq!(early.code, 1);
    assert!(early.contains("generation 1 has not ended: its verdict is not yet reported to Convex"));
    assert!(early.contains("absent: refused: not found in the history, which reaches 72 hours back"));
    hold.release();
    wait_reported(&pipeline, "a").await;

    // Of two at the same time, one begins and the other reports that.
    let hold = pipeline.convex.hold_before(Endpoint::RESULT);
    let (one, two) = tokio::join!(gavel(&pipeline, &["rejudge", "a"]), gavel(&pipeline, &["rejudge", "a"]));
    assert!(one.code == 0 || two.code == 0);
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    hold.release();
    wait_reported(&pipeline, "a.2").await;
    assert_eq!(pipeline.convex.submission("a").unwrap().result_calls, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejudge_completes_interrupted_rejudge() {
    let pipeline = Pipeline::start(vec![question("7")]).await;
    pipeline.submit("a", "q", 71, ECHO).await;
    wait_reported(&pipeline, "a").await;
    // The state that a command leaves if it is killed right after it allotted the generation.
    let config = NatsConfig { url: pipeline.nats.url(), name: "test".to_owned(), ..NatsConfig::default() };
    let bus = Bus::connect(&config, TopologySettings::default()).await.unwrap();
    bus.connection().wait_connected().await;
    let raw = jetstream::new(async_nats::connect(pipeline.nats.url()).await.unwrap());
    let stream = raw.get_stream_no_info("SUB_QUEUED").await.unwrap();
    let queued = stream.direct_get_last_for_subject("submission.queued.a").await.unwrap();
    let mut submission = Queued::decode(&queued.payload).unwrap().submission;
    submission.generation = submission.generation.next();
    let (by, reason) = ("the test".to_owned(), "wanted".to_owned());
    let record = Rejudged { submission, from: Stage::Fetcher, by, reason, run: None };
    let stored = bus.publish(&Outgoing::from(&record), &Trace::default(), Duration::from_secs(10)).await;
    assert_eq!(stored.unwrap(), Stored::New);

    let resumed = gavel(&pipeline, &["rejudge", "a", "--json"]).await;
    let expected = json!({ "id": "a", "outcome": "resumed", "generation": 2, "stage": "fetcher" });
    assert_eq!((resumed.code, resumed.json()), (0, vec![expected]));
    wait_reported(&pipeline, "a.2").await;
    assert_eq!(pipeline.convex.submission("a").unwrap().result_calls, 2);
}

/// Asserts that `a` cannot be rejudged yet. The settings are those of the reporters by default.
async fn assert_not_settled(pipeline: &Pipeline) {
    let rejudge = Process::builder(env!("CARGO_BIN_EXE_gavel")).args(["rejudge", "a", "--json"]);
    let rejudge = rejudge.envs(pipeline.nats.login("ops")).start().unwrap();
    assert_eq!(rejudge.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(1));
    let refused = rejudge.log()[0].json().unwrap();
    let reason = refused["reason"].as_str().unwrap();
    assert!(reason.starts_with("generation 1 may have taken several callback attempts"), "{reason}");
}

/// A reporter that was suspended can end the first delivery while the call of a second one, which NATS has sent meanwhile, has no
/// answer.
#[tokio::test(flavor = "multi_thread")]
async fn rejudge_waits_if_the_verdict_may_have_been_delivered_again() {
    let pipeline = Pipeline::start(vec![question("7")]).await;
    let raw = jetstream::new(async_nats::connect(pipeline.nats.url()).await.unwrap());
    let stream = raw.get_stream_no_info("SUB_RESULT").await.unwrap();
    let settings = TopologySettings { ack_wait: Duration::from_secs(1), ..TopologySettings::default() };
    stream.update_consumer(Durable::ReporterJudged.config(&settings)).await.unwrap();
    let slow = HttpFault::Hang(Duration::from_secs(2));
    pipeline.convex.fault(Matcher::of(Endpoint::RESULT), slow);
    pipeline.submit("a", "q", 71, ECHO).await;
    wait_reported(&pipeline, "a").await;
    let reported = stream.direct_get_last_for_subject("submission.reported.a").await.unwrap();
    assert_eq!(Reported::decode(&reported.payload).unwrap().attempts, 1);
    assert_not_settled(&pipeline).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rejudge_waits_for_pending_callback() {
    // The first result callback hangs: the reporter times out and sends the same again.
    let pipeline = Pipeline::start_with(vec![question("8")], &[("REQUEST_TIMEOUT_MS", "500")]).await;
    let hold = pipeline.convex.hold_before(Matcher::of(Endpoint::RESULT).first(1));
    pipeline.submit("a", "q", 71, ECHO).await;
    wait_reported(&pipeline, "a").await;
    pipeline.convex.put_question(question("7"));
    assert_not_settled(&pipeline).await;

    // It takes effect late, and there is no result of a newer generation that it could overwrite.
    hold.release();
    let has_effect = async || {
        let calls = pipeline.convex.calls_of("a");
        calls.iter().filter(|call| call.endpoint == Endpoint::RESULT && call.applied_at().is_some()).count()
            == 2
    };
    gavel_testkit::wait_until("the late one", TEST_TIMEOUT, has_effect).await.unwrap();
    assert_eq!(gavel(&pipeline, &["rejudge", "a"]).await.code, 0);
    wait_reported(&pipeline, "a.2").await;
    assert_eq!(pipeline.convex.submission("a").unwrap().status, Status::Passed);
}
