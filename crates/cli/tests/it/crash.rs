//! Invariant 1: what was answered 202 ends, whatever is killed in the middle of its step.

use std::time::{Duration, Instant};

use gavel_mock_convex::{Endpoint, Question, SubmissionKind};
use gavel_testkit::Process;

use crate::line::{Line, PATIENCE, service, submission};

/// Takes a second of CPU at the judge, long enough to be met in the middle.
const SLOW: &str = "import time\nwhile time.process_time() < 1: pass\nprint(input())";

fn questions() -> Vec<Question> {
    vec![Question::build(SubmissionKind::Standard, "q").time_limit_seconds(5.0).public("7", "7").done()]
}

async fn ended_once(line: &Line, id: &str) {
    assert_eq!(line.result(id).await["status"], "passed", "{id}");
    assert!(line.convex.running_after_result().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ingress_is_killed_right_after_its_answer() {
    let line = Line::start(questions()).await;
    line.submit("a", "q", 71, SLOW).await;
    line.ingress.kill().await.unwrap();
    ended_once(&line, "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fetcher_is_killed_while_it_fetches() {
    let line = Line::start(questions()).await;
    let hold = line.convex.hold(Endpoint::TEST_CASES);
    line.submit("a", "q", 71, SLOW).await;
    hold.wait_arrived(1, PATIENCE).await.unwrap();
    line.fetcher.kill().await.unwrap();
    hold.release();
    line.fetcher.restart().await.unwrap();
    ended_once(&line, "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_judge_is_killed_while_it_runs_the_program() {
    let line = Line::start(questions()).await;
    line.submit("a", "q", 71, SLOW).await;
    line.convex.wait_calls(Endpoint::RUNNING, 1, PATIENCE).await.unwrap();
    line.judge.kill().await.unwrap();
    line.judge.restart().await.unwrap();
    ended_once(&line, "a").await;
    assert_eq!(line.convex.submission("a").unwrap().running_calls, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reporter_is_killed_while_it_tells_the_result() {
    let line = Line::start(questions()).await;
    let hold = line.convex.hold_before(Endpoint::RESULT);
    line.submit("a", "q", 71, "print(input())").await;
    hold.wait_arrived(1, PATIENCE).await.unwrap();
    line.reporter.kill().await.unwrap();
    hold.release();
    line.reporter.restart().await.unwrap();
    ended_once(&line, "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_judge_told_to_stop_hands_its_work_to_another_at_once() {
    let line = Line::start(questions()).await;
    // Long enough that finishing it within the grace would show.
    let long = "import time\nwhile time.process_time() < 3: pass\nprint(input())";
    let leaving = Process::builder(gavel_testkit::process::built_binary("gavel-judge").unwrap())
        .env("NATS_URL", line.nats.url())
        .env("PORT", "0")
        .env("JUDGE_SLOTS", "1")
        .env("SHUTDOWN_GRACE_MS", "100")
        .start()
        .unwrap();
    line.judge.terminate().unwrap();
    line.judge.wait_exit(PATIENCE).await.unwrap();
    line.submit("a", "q", 71, long).await;
    line.convex.wait_calls(Endpoint::RUNNING, 1, PATIENCE).await.unwrap();
    let staying = service("gavel-judge", &line.nats, &line.convex);
    staying.wait_log("its port", PATIENCE, |entry| entry.contains("\"listening\"")).await.unwrap();
    let told = Instant::now();
    leaving.terminate().unwrap();
    assert!(leaving.wait_exit(PATIENCE).await.unwrap().success());
    assert!(told.elapsed() < Duration::from_secs(2), "it waited for the program: {:?}", told.elapsed());
    ended_once(&line, "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_told_to_stop_finish_what_is_in_hand() {
    let line = Line::start(questions()).await;
    line.submit("a", "q", 71, SLOW).await;
    line.convex.wait_calls(Endpoint::RUNNING, 1, PATIENCE).await.unwrap();
    for process in [&line.judge, &line.fetcher, &line.ingress] {
        process.terminate().unwrap();
    }
    for process in [&line.judge, &line.fetcher, &line.ingress] {
        assert!(process.wait_exit(PATIENCE).await.unwrap().success());
    }
    ended_once(&line, "a").await;
    line.reporter.terminate().unwrap();
    assert!(line.reporter.wait_exit(PATIENCE).await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_goes_away_and_comes_back() {
    let line = Line::start(questions()).await;
    line.submit("before", "q", 71, SLOW).await;
    line.convex.wait_calls(Endpoint::RUNNING, 1, PATIENCE).await.unwrap();
    line.nats.kill().await.unwrap();
    gavel_testkit::wait_until("an ingress that has noticed", PATIENCE, async || {
        // Another one: what was on its way in that very moment may come in later, for all anybody knows.
        line.post(&submission("between", "q", 71, SLOW)).await == 503
    })
    .await
    .unwrap();
    let asked = Instant::now();
    let answer = line.http.post(&line.url).json(&submission("never", "q", 71, SLOW)).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert!(asked.elapsed() < Duration::from_secs(1), "a 503 comes at once: {:?}", asked.elapsed());
    line.nats.restart().await.unwrap();
    line.until_ready().await;
    line.submit("after", "q", 71, SLOW).await;
    ended_once(&line, "before").await;
    ended_once(&line, "after").await;
    assert!(line.convex.submission("never").is_none(), "what was refused was queued all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_services_are_killed_at_once() {
    let line = Line::start(questions()).await;
    let ids: Vec<String> = (0..20).map(|n| format!("s{n}")).collect();
    for id in &ids {
        line.submit(id, "q", 71, "print(input())").await;
    }
    for process in [&line.ingress, &line.fetcher, &line.judge, &line.reporter] {
        process.kill().await.unwrap();
    }
    for process in [&line.fetcher, &line.judge, &line.reporter] {
        process.restart().await.unwrap();
    }
    for id in &ids {
        ended_once(&line, id).await;
    }
}
