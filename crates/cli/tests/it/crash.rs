//! Invariant 1: a submission answered 202 reaches a final status, whichever process is killed during its step.

use std::time::{Duration, Instant};

use gavel_mock_convex::{Endpoint, Question, SubmissionKind};
use gavel_testkit::{Process, TEST_TIMEOUT};

use crate::pipeline::{Pipeline, service, submission};

/// Uses a second of CPU time, long enough to be interrupted.
const SLOW: &str = "import time\nwhile time.process_time() < 1: pass\nprint(input())";

fn questions() -> Vec<Question> {
    vec![Question::build(SubmissionKind::Standard, "q").time_limit_seconds(5.0).public("7", "7").done()]
}

async fn ended_once(pipeline: &Pipeline, id: &str) {
    assert_eq!(pipeline.result(id).await["status"], "passed", "{id}");
    assert!(pipeline.convex.running_after_result().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn submission_survives_ingress_killed_after_202() {
    let pipeline = Pipeline::start(questions()).await;
    pipeline.submit("a", "q", 71, SLOW).await;
    pipeline.ingress.kill().await.unwrap();
    ended_once(&pipeline, "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn submission_survives_fetcher_killed_during_fetch() {
    let pipeline = Pipeline::start(questions()).await;
    let hold = pipeline.convex.hold(Endpoint::TEST_CASES);
    pipeline.submit("a", "q", 71, SLOW).await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    pipeline.fetcher.kill().await.unwrap();
    hold.release();
    pipeline.fetcher.restart().await.unwrap();
    ended_once(&pipeline, "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn submission_survives_judge_killed_during_run() {
    let pipeline = Pipeline::start(questions()).await;
    pipeline.submit("a", "q", 71, SLOW).await;
    pipeline.convex.wait_calls(Endpoint::RUNNING, 1, TEST_TIMEOUT).await.unwrap();
    pipeline.judge.kill().await.unwrap();
    pipeline.judge.restart().await.unwrap();
    ended_once(&pipeline, "a").await;
    assert_eq!(pipeline.convex.submission("a").unwrap().running_calls, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn submission_survives_reporter_killed_during_result_callback() {
    let pipeline = Pipeline::start(questions()).await;
    let hold = pipeline.convex.hold_before(Endpoint::RESULT);
    pipeline.submit("a", "q", 71, "print(input())").await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    pipeline.reporter.kill().await.unwrap();
    hold.release();
    pipeline.reporter.restart().await.unwrap();
    ended_once(&pipeline, "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_judge_hands_work_over_at_once() {
    let pipeline = Pipeline::start(questions()).await;
    // Long enough that the test would notice if the judge finished it.
    let long = "import time\nwhile time.process_time() < 3: pass\nprint(input())";
    let leaving = Process::builder(gavel_testkit::process::built_binary("gavel-judge").unwrap())
        .envs(pipeline.nats.login("judge"))
        .env("PORT", "0")
        .env("JUDGE_SLOTS", "1")
        .env("SHUTDOWN_GRACE_MS", "100")
        .start()
        .unwrap();
    pipeline.judge.terminate().unwrap();
    pipeline.judge.wait_exit(TEST_TIMEOUT).await.unwrap();
    pipeline.submit("a", "q", 71, long).await;
    pipeline.convex.wait_calls(Endpoint::RUNNING, 1, TEST_TIMEOUT).await.unwrap();
    let staying = service("gavel-judge", &pipeline.nats, &pipeline.convex);
    staying.wait_log("its port", TEST_TIMEOUT, |entry| entry.contains("\"listening\"")).await.unwrap();
    let stopped_at = Instant::now();
    leaving.terminate().unwrap();
    assert!(leaving.wait_exit(TEST_TIMEOUT).await.unwrap().success());
    assert!(
        stopped_at.elapsed() < Duration::from_secs(2),
        "it waited for the program: {:?}",
        stopped_at.elapsed()
    );
    ended_once(&pipeline, "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_services_finish_work_in_progress() {
    let pipeline = Pipeline::start(questions()).await;
    pipeline.submit("a", "q", 71, SLOW).await;
    pipeline.convex.wait_calls(Endpoint::RUNNING, 1, TEST_TIMEOUT).await.unwrap();
    for process in [&pipeline.judge, &pipeline.fetcher, &pipeline.ingress] {
        process.terminate().unwrap();
    }
    for process in [&pipeline.judge, &pipeline.fetcher, &pipeline.ingress] {
        assert!(process.wait_exit(TEST_TIMEOUT).await.unwrap().success());
    }
    ended_once(&pipeline, "a").await;
    pipeline.reporter.terminate().unwrap();
    assert!(pipeline.reporter.wait_exit(TEST_TIMEOUT).await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn pipeline_survives_nats_restart() {
    let pipeline = Pipeline::start(questions()).await;
    pipeline.submit("before", "q", 71, SLOW).await;
    pipeline.convex.wait_calls(Endpoint::RUNNING, 1, TEST_TIMEOUT).await.unwrap();
    pipeline.nats.kill().await.unwrap();
    gavel_testkit::wait_until("an ingress that has noticed", TEST_TIMEOUT, async || {
        // Another submission: one that was in flight when NATS died may still be stored later.
        pipeline.post(&submission("between", "q", 71, SLOW)).await == 503
    })
    .await
    .unwrap();
    let asked = Instant::now();
    let answer =
        pipeline.http.post(&pipeline.url).json(&submission("never", "q", 71, SLOW)).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert!(asked.elapsed() < Duration::from_secs(1), "a 503 comes at once: {:?}", asked.elapsed());
    pipeline.nats.restart().await.unwrap();
    pipeline.until_ready().await;
    pipeline.submit("after", "q", 71, SLOW).await;
    ended_once(&pipeline, "before").await;
    ended_once(&pipeline, "after").await;
    assert!(pipeline.convex.submission("never").is_none(), "what was refused was queued all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn submissions_survive_all_services_killed_at_once() {
    let pipeline = Pipeline::start(questions()).await;
    let ids: Vec<String> = (0..20).map(|n| format!("s{n}")).collect();
    for id in &ids {
        pipeline.submit(id, "q", 71, "print(input())").await;
    }
    for process in [&pipeline.ingress, &pipeline.fetcher, &pipeline.judge, &pipeline.reporter] {
        process.kill().await.unwrap();
    }
    for process in [&pipeline.fetcher, &pipeline.judge, &pipeline.reporter] {
        process.restart().await.unwrap();
    }
    for id in &ids {
        ended_once(&pipeline, id).await;
    }
}
