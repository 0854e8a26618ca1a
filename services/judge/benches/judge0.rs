//! A submission of 20 tests at a Judge0 that takes 50 ms for each, compared with a client that sends one test at a time
//! and polls every 500 ms. Both talk over HTTP to the mock of the test kit, which runs eight tests at once, and once
//! more to one that runs four.

#![expect(clippy::unwrap_used, reason = "a benchmark panics on errors")]

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use gavel_config::Env;
use gavel_domain::engine::Job;
use gavel_domain::{
    Comparison, HiddenOutput, LanguageId, Limits, Question, Scorer, Status, TestCase, Visibility,
};
use gavel_judge::{Config, Engine, Judge0Engine};
use gavel_testkit::MockJudge0;
use gavel_testkit::judge0::{Route, Settings};
use serde_json::{Value, json};

const TESTS: usize = 20;
const TEST_TIME: Duration = Duration::from_millis(50);
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Submissions to the engine, one after the other. The median counts.
const ROUNDS: usize = 9;

/// The time and the requests of a submission.
#[derive(Clone, Copy)]
struct Cost {
    time: Duration,
    requests: usize,
}

fn main() {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        println!("\n{:<28}{:>12}{:>14}{:>10}", "judge0", "gavel", "one at a time", "ratio");
        for workers in [8, 4] {
            let settings = Settings { test_time: TEST_TIME, workers, ..Settings::default() };
            let plain = one_at_a_time(&MockJudge0::start(settings.clone()).await).await;
            let engine = engine_cost(&MockJudge0::start(settings).await).await;
            let faster = plain.time.as_secs_f64() / engine.time.as_secs_f64();
            show(&format!("workers{workers}_ms"), ms(engine.time), ms(plain.time));
            #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
            show(&format!("workers{workers}_requests"), engine.requests as f64, plain.requests as f64);
            if workers == 8 {
                assert!(faster >= 8.0, "expected 8 × faster, measured {faster:.1} ×");
                assert!(engine.requests * 4 <= plain.requests, "expected at most a quarter of the requests");
            }
        }
    });
}

/// The Judge0 engine, from the first request of a submission to its verdict. Judge0's limits are read once before.
async fn engine_cost(mock: &MockJudge0) -> Cost {
    let variables = [("ENGINE", "judge0".to_owned()), ("JUDGE0_BASE_URL", mock.url())];
    let mut env = Env::from_vars(variables.map(|(name, value)| (name.to_owned(), value)));
    let engine = Judge0Engine::start(&Config::read(&mut env)).unwrap();
    let question = question();
    let mut all = Vec::new();
    for round in 0..=ROUNDS {
        let (began, before) = (Instant::now(), mock.request_count(None));
        let job = Job {
            language: LanguageId(71),
            source: "print(input())",
            question: &question,
            max_output_bytes: 4 << 20,
        };
        let (mut scorer, mut status) = (Scorer::new(&question, 1_000, HiddenOutput::Send), None);
        engine
            .execute(&job, &mut |execution| match scorer.next(&execution) {
                ControlFlow::Continue(()) => ControlFlow::Continue(()),
                ControlFlow::Break(verdict) => {
                    status = Some(verdict.status);
                    ControlFlow::Break(())
                }
            })
            .await
            .unwrap();
        assert_eq!(status, Some(Status::Passed));
        let cost = Cost { time: began.elapsed(), requests: mock.request_count(None) - before };
        // The first submission waits for the limits.
        if round > 0 {
            all.push(cost);
        }
    }
    all.sort_by_key(|cost| cost.time);
    let max_requests = all.iter().map(|cost| cost.requests).max().unwrap();
    Cost { time: all[all.len() / 2].time, requests: max_requests }
}

/// A simple client. Its first poll comes after 500 ms; an earlier one would fill Judge0's cache, which lasts a second.
async fn one_at_a_time(mock: &MockJudge0) -> Cost {
    let http = gavel_http::client().build().unwrap();
    let url = mock.url();
    let began = Instant::now();
    for test in &question().tests {
        let entry = json!({ "source_code": "eA==", "language_id": 71, "stdin": "MQo=", "cpu_time_limit": 1 });
        let post = http.post(format!("{url}/submissions?base64_encoded=true&wait=false")).json(&entry);
        let posted: Value = post.send().await.unwrap().json().await.unwrap();
        let poll_url = format!("{url}/submissions/{}?base64_encoded=true", posted["token"].as_str().unwrap());
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            let report: Value = http.get(&poll_url).send().await.unwrap().json().await.unwrap();
            if report["status"]["id"].as_u64().is_some_and(|status| status > 2) {
                assert!(!test.expected_stdout.is_empty());
                break;
            }
        }
    }
    assert_eq!(mock.request_count(Route::Post), TESTS);
    Cost { time: began.elapsed(), requests: mock.request_count(None) }
}

fn question() -> Question {
    let test = |n: usize| TestCase {
        visibility: Visibility::Hidden,
        stdin: format!("{n}\n"),
        expected_stdout: format!("{n}\n"),
    };
    Question {
        limits: Limits::new(1.0, 64.0).unwrap(),
        comparison: Comparison { trim_outputs: true, normalize_whitespace: false, case_sensitive: true },
        tests: (0..TESTS).map(test).collect(),
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Prints one result as a line of a table and as JSON.
fn show(metric: &str, value: f64, baseline: f64) {
    let ratio = value / baseline;
    let line =
        json!({ "bench": "judge0", "metric": metric, "value": value, "baseline": baseline, "ratio": ratio });
    println!("{metric:<28}{value:>12.2}{baseline:>14.2}{ratio:>10.2}    {line}");
}
