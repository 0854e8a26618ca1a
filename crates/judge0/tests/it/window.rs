//! The window of tests sent ahead, the shared polls, and the order in which executions arrive.

use std::sync::Arc;
use std::time::Duration;

use gavel_domain::Outcome;
use gavel_domain::engine::{Job, Progress};
use gavel_judge0::{Judge0, Tuning};
use gavel_testkit::MockJudge0;
use gavel_testkit::judge0::{Program, Route, Settings, accepted, ended};

use crate::support::{config, pair, question, run, tuning};

#[tokio::test]
async fn executions_arrive_in_order_with_the_output_of_each_test() {
    let (mock, judge0) = pair(Settings { workers: 1, ..Settings::default() }, tuning()).await;
    let (executions, ended) = run(&judge0, "echo", &question(12)).await;
    assert_eq!(ended, Ok(Progress::Ran));
    let outputs: Vec<_> =
        executions.iter().map(|it| String::from_utf8_lossy(&it.stdout).into_owned()).collect();
    assert_eq!(outputs, (0..12).map(|n| format!("{n}\n")).collect::<Vec<_>>());
    // Newlines are normalized.
    assert!(mock.programs().iter().all(|program| !program.stdin.contains('\r')));
    assert!(mock.most_in_flight() <= 5, "the current test and four ahead");
}

#[tokio::test]
async fn window_of_zero_runs_one_test_at_a_time() {
    let mock = MockJudge0::start(Settings::default()).await;
    let judge0 =
        Judge0::start(&gavel_judge0::Judge0Config { window: 0, ..config(mock.url()) }, tuning()).unwrap();
    assert_eq!(run(&judge0, "echo", &question(5)).await.1, Ok(Progress::Ran));
    assert_eq!((mock.most_in_flight(), mock.request_count(Route::PostBatch)), (1, 5));
}

/// The first failing test decides, whatever later tests did, and nothing is sent after it.
#[tokio::test]
async fn first_failure_in_order_decides_and_stops_the_job() {
    let script = |program: &Program| match program.stdin.as_str() {
        "3\n" => ended(11, 42, "", ""),
        "1\n" => accepted("no\n"),
        _ => accepted(&program.stdin),
    };
    let settings = Settings { script: Arc::new(script), ..Settings::default() };
    let (mock, judge0) = pair(settings, tuning()).await;
    let (executions, ended) = run(&judge0, "x", &question(20)).await;
    assert_eq!((executions.len(), ended), (2, Ok(Progress::Ran)));
    assert_eq!(executions[1].stdout, b"no\n");
    assert!(mock.programs().len() < 10, "nothing is sent after a failure: {}", mock.programs().len());
    // Tests that were ahead are no longer polled.
    let polls = mock.request_count(Route::GetBatch);
    let (after, _) = run(&judge0, "x", &question(1)).await;
    assert_eq!(after.len(), 1);
    let late: Vec<_> =
        mock.requests().into_iter().filter(|call| call.route == Route::GetBatch).skip(polls).collect();
    assert!(late.iter().all(|call| call.submissions == 1), "{late:?}");
}

#[tokio::test]
async fn compile_error_is_reported_once_with_the_compiler_output() {
    let (mock, judge0) = pair(Settings::default(), tuning()).await;
    let source = "int main(){ return x }\n";
    let (executions, ended) =
        crate::support::run_in(&judge0, gavel_domain::LanguageId(50), source, &question(9)).await;
    let Ok(Progress::CompileError(output)) = ended else { panic!("{ended:?}") };
    assert!(executions.is_empty() && String::from_utf8(output).unwrap().contains("undeclared"));
    assert_eq!(mock.request_count(Route::PostBatch), 1);
}

/// 20 tests of 50 ms each. A client that runs one after the other needs at least 40 calls.
#[tokio::test]
async fn twenty_tests_take_eight_calls() {
    let settings = Settings { test_time: Duration::from_millis(50), workers: 8, ..Settings::default() };
    // Polls so late that a busy machine does not change their number.
    let tuning = Tuning { min_poll_interval: Duration::from_millis(500), ..Tuning::default() };
    let (mock, judge0) = pair(settings, tuning).await;
    assert_eq!(run(&judge0, "echo", &question(20)).await.1, Ok(Progress::Ran));
    assert_eq!((mock.request_count(Route::PostBatch), mock.request_count(Route::GetBatch)), (4, 4));
    assert_eq!(mock.request_count(Route::Get), 0, "Judge0 caches single answers for a second");
}

/// One poll covers the tests of all submissions.
#[tokio::test]
async fn submissions_share_polls() {
    let tuning = Tuning { min_poll_interval: Duration::from_millis(300), ..Tuning::default() };
    let (mock, judge0) = pair(Settings::default(), tuning).await;
    let question = question(4);
    let submissions = (0..5).map(|_| run(&judge0, "echo", &question));
    for (executions, ended) in futures::future::join_all(submissions).await {
        assert_eq!((executions.len(), ended), (4, Ok(Progress::Ran)));
    }
    let polls: Vec<_> = mock.requests().into_iter().filter(|call| call.route == Route::GetBatch).collect();
    assert!(polls.len() <= 3, "five submissions that poll separately would make five: {polls:?}");
    assert!(polls.iter().any(|call| call.submissions > 4), "{polls:?}");
}

#[tokio::test]
async fn limits_and_program_are_sent_in_judge0s_format() {
    let (mock, judge0) = pair(Settings::default(), tuning()).await;
    let question = crate::support::with_limits(1, 1.5, 100.0);
    let runtime_memory_bytes = 64 << 20;
    let job =
        Job {
            language: gavel_domain::LanguageId(71), source: "é", question: &question, max_output_bytes: 1
        };
    let mut outcome = None;
    let ran = judge0
        .run(&job, runtime_memory_bytes, &mut |execution| {
            outcome = Some(execution.outcome);
            std::ops::ControlFlow::Continue(())
        })
        .await;
    assert_eq!((ran.unwrap(), outcome), (Progress::Ran, Some(Outcome::Exited { code: 0 })));
    let programs = mock.programs();
    let entry = &programs[0].entry;
    assert_eq!((programs[0].source.as_str(), &entry["language_id"]), ("é", &71.into()));
    assert_eq!((&entry["cpu_time_limit"], &entry["wall_time_limit"]), (&1.5.into(), &3.0.into()));
    assert_eq!((&entry["memory_limit"], &entry["max_file_size"]), (&(164 * 1_024).into(), &1.into()));
    assert!(entry.get("expected_output").is_none(), "the judge compares outputs itself");
}

/// Why the poller uses the batch endpoint: Judge0 caches a single answer, even after the test has finished.
#[tokio::test]
async fn single_answer_is_stale_when_batch_answer_is_current() {
    let hour = Duration::from_hours(1);
    // Long enough for the first answer to arrive during the test, on a busy machine, too.
    let settings = Settings { test_time: Duration::from_secs(3), cache: hour, ..Settings::default() };
    let mock = MockJudge0::start(settings).await;
    let client = gavel_judge0::Judge0Client::new(&config(mock.url())).unwrap();
    let entry = crate::support::entry();
    let posted = client.submit(&[entry]).await.unwrap().remove(0);
    let gavel_judge0::EntryResult::Token(token) = posted else { panic!("{posted:?}") };
    let single = async || {
        let url = format!("{}/submissions/{token}?base64_encoded=true", mock.url());
        let text = gavel_http::client().build().unwrap().get(url).send().await.unwrap().text().await.unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["status"]["id"].as_u64().unwrap()
    };
    assert_eq!(single().await, 2, "the test is running");
    gavel_testkit::wait_until("the end of the test", crate::support::TIMEOUT, async || {
        client.poll(&[&token]).await.unwrap()[0].as_ref().unwrap().is_final()
    })
    .await
    .unwrap();
    assert_eq!(single().await, 2, "the cached answer");
}
