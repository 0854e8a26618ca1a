//! Submissions and verdicts that no service takes: each ends before its stream deletes it, and can still be retried afterwards.

use std::time::Duration;

use async_nats::jetstream;
use gavel_mock_convex::{Question, SubmissionKind};
use gavel_testkit::{TEST_TIMEOUT, wait_until};

use crate::dead::{gavel, wait_dead_letters};
use crate::pipeline::Pipeline;

/// A program that is too large to be part of a dead letter.
fn program() -> String {
    format!("print(input())\n# {}", "x".repeat(50_000))
}

async fn pipeline() -> (Pipeline, jetstream::Context) {
    let question = Question::build(SubmissionKind::Standard, "q").public("7", "7").done();
    let pipeline = Pipeline::start(vec![question]).await;
    let raw = jetstream::new(async_nats::connect(pipeline.nats.url()).await.unwrap());
    (pipeline, raw)
}

/// Makes a stream delete its messages after 60 s, so that work in it is given up after 50 s.
async fn shorten(raw: &jetstream::Context, stream: &str) {
    let mut config = raw.get_stream(stream).await.unwrap().cached_info().config.clone();
    (config.max_age, config.duplicate_window) = (Duration::from_mins(1), Duration::from_secs(1));
    raw.update_stream(&config).await.unwrap();
}

/// Waits until a stream has no message on a subject.
async fn wait_deleted(raw: &jetstream::Context, stream: &str, subject: &str) {
    let stream = raw.get_stream_no_info(stream).await.unwrap();
    let deleted = async || stream.direct_get_last_for_subject(subject).await.is_err();
    wait_until("its deletion", TEST_TIMEOUT, deleted).await.unwrap();
}

/// Retries the dead letter of `a` as soon as that is possible.
async fn retry(pipeline: &Pipeline) {
    let begun = async || gavel(pipeline, &["dead", "retry", "a"]).await.code == 0;
    wait_until("the retry", TEST_TIMEOUT, begun).await.unwrap();
    wait_dead_letters(pipeline, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn untaken_submission_ends_with_an_error_and_can_be_retried() {
    let (pipeline, raw) = pipeline().await;
    pipeline.fetcher.kill().await.unwrap();
    shorten(&raw, "SUB_QUEUED").await;
    // It looks at the stream when it starts, and then once a minute.
    pipeline.reporter.kill().await.unwrap();
    pipeline.reporter.restart().await.unwrap();
    pipeline.submit("a", "q", 71, &program()).await;
    let result = pipeline.result("a").await;
    assert_eq!(result["status"], "error");
    assert_eq!(result["firstFailure"]["errorMessage"], "The submission was not processed in time.");
    let dead_letter = wait_dead_letters(&pipeline, 1).await.remove(0);
    assert_eq!(dead_letter["stage"], "fetcher");
    assert_eq!(dead_letter["cause"], "no fetcher has processed it, and SUB_QUEUED would soon delete it");

    wait_deleted(&raw, "SUB_QUEUED", "submission.queued.a").await;
    let shown = gavel(&pipeline, &["dead", "show", "a", "--json"]).await.json().remove(0);
    assert_eq!(shown["message"]["sourceBytes"], program().len());
    pipeline.fetcher.restart().await.unwrap();
    retry(&pipeline).await;
    let passed =
        |state: &gavel_mock_convex::SubmissionState| state.status == gavel_mock_convex::Status::Passed;
    pipeline.convex.wait_submission("a", TEST_TIMEOUT, passed).await.unwrap();
    let kept = raw.get_stream("DEAD_MESSAGES").await.unwrap();
    assert_eq!(kept.cached_info().state.messages, 0, "the program goes with its dead letter");
}

#[tokio::test(flavor = "multi_thread")]
async fn untaken_verdict_becomes_a_dead_letter_and_can_be_retried() {
    let (pipeline, raw) = pipeline().await;
    pipeline.reporter.kill().await.unwrap();
    shorten(&raw, "SUB_RESULT").await;
    pipeline.fetcher.kill().await.unwrap();
    pipeline.fetcher.restart().await.unwrap();
    pipeline.submit("a", "q", 71, &program()).await;
    let dead_letter = wait_dead_letters(&pipeline, 1).await.remove(0);
    assert_eq!(dead_letter["stage"], "reporter");
    assert_eq!(dead_letter["cause"], "no reporter has processed it, and SUB_RESULT would soon delete it");

    wait_deleted(&raw, "SUB_RESULT", "submission.judged.a").await;
    pipeline.reporter.restart().await.unwrap();
    retry(&pipeline).await;
    assert_eq!(pipeline.result("a").await["status"], "passed");
}
