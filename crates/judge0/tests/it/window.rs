//! Tests ahead, polls for all, and what a user observes: one test after the other.

use std::sync::Arc;
use std::time::Duration;

use gavel_domain::Outcome;
use gavel_judge0::{Job, Judge0, Pace, Progress};
use gavel_testkit::Judge0Double;
use gavel_testkit::judge0::{Program, Route, Settings, accepted, ended};

use crate::support::{config, pace, pair, question, run};

#[tokio::test]
async fn executions_are_shown_in_order_with_what_each_test_wrote() {
    let (double, judge0) = pair(Settings { workers: 1, ..Settings::default() }, pace()).await;
    let (shown, ended) = run(&judge0, "echo", &question(12)).await;
    assert_eq!(ended, Ok(Progress::Ran));
    let outputs: Vec<_> = shown.iter().map(|it| String::from_utf8_lossy(&it.stdout).into_owned()).collect();
    assert_eq!(outputs, (0..12).map(|n| format!("{n}\n")).collect::<Vec<_>>());
    // Line ends are the program's, not Windows's.
    assert!(double.programs().iter().all(|program| !program.stdin.contains('\r')));
    assert!(double.most_in_flight() <= 5, "the test in question and four ahead");
}

#[tokio::test]
async fn no_window_is_one_test_at_a_time() {
    let double = Judge0Double::start(Settings::default()).await;
    let judge0 =
        Judge0::start(&gavel_judge0::Judge0Config { window: 0, ..config(double.url()) }, pace()).unwrap();
    assert_eq!(run(&judge0, "echo", &question(5)).await.1, Ok(Progress::Ran));
    assert_eq!((double.most_in_flight(), double.call_count(Route::PostBatch)), (1, 5));
}

/// The first failing test decides, whatever those behind it did, and nothing is sent after it.
#[tokio::test]
async fn the_first_failure_in_order_decides_and_ends_it() {
    let script = |program: &Program| match program.stdin.as_str() {
        "3\n" => ended(11, 42, "", ""),
        "1\n" => accepted("no\n"),
        _ => accepted(&program.stdin),
    };
    let settings = Settings { script: Arc::new(script), ..Settings::default() };
    let (double, judge0) = pair(settings, pace()).await;
    let (shown, ended) = run(&judge0, "x", &question(20)).await;
    assert_eq!((shown.len(), ended), (2, Ok(Progress::Ran)));
    assert_eq!(shown[1].stdout, b"no\n");
    assert!(double.programs().len() < 10, "a failure ends the sending: {}", double.programs().len());
    // What was ahead is no longer looked at.
    let looks = double.call_count(Route::GetBatch);
    let (after, _) = run(&judge0, "x", &question(1)).await;
    assert_eq!(after.len(), 1);
    let late: Vec<_> =
        double.calls().into_iter().filter(|call| call.route == Route::GetBatch).skip(looks).collect();
    assert!(late.iter().all(|call| call.submissions == 1), "{late:?}");
}

#[tokio::test]
async fn a_compile_error_is_told_once_and_with_the_compilers_words() {
    let (double, judge0) = pair(Settings::default(), pace()).await;
    let source = "int main(){ return x }\n";
    let (shown, ended) =
        crate::support::run_in(&judge0, gavel_domain::LanguageId(50), source, &question(9)).await;
    let Ok(Progress::CompileError(output)) = ended else { panic!("{ended:?}") };
    assert!(shown.is_empty() && String::from_utf8(output).unwrap().contains("undeclared"));
    assert_eq!(double.call_count(Route::PostBatch), 1);
}

/// 20 tests of 50 ms at Judge0, of which a client that takes one after the other would make 40 calls at least.
#[tokio::test]
async fn twenty_tests_take_a_few_calls() {
    let settings = Settings { test_time: Duration::from_millis(50), workers: 8, ..Settings::default() };
    // Looks so late that a busy machine does not change their number.
    let pace = Pace { first_look: Duration::from_millis(500), ..Pace::default() };
    let (double, judge0) = pair(settings, pace).await;
    assert_eq!(run(&judge0, "echo", &question(20)).await.1, Ok(Progress::Ran));
    assert_eq!((double.call_count(Route::PostBatch), double.call_count(Route::GetBatch)), (4, 4));
    assert_eq!(double.call_count(Route::Get), 0, "single answers are cached for a second");
}

/// One poll for the tests of all submissions.
#[tokio::test]
async fn submissions_share_their_polls() {
    let pace = Pace { first_look: Duration::from_millis(300), ..Pace::default() };
    let (double, judge0) = pair(Settings::default(), pace).await;
    let question = question(4);
    let submissions = (0..5).map(|_| run(&judge0, "echo", &question));
    for (shown, ended) in futures::future::join_all(submissions).await {
        assert_eq!((shown.len(), ended), (4, Ok(Progress::Ran)));
    }
    let looks: Vec<_> = double.calls().into_iter().filter(|call| call.route == Route::GetBatch).collect();
    assert!(looks.len() <= 3, "five submissions with polls of their own would make five: {looks:?}");
    assert!(looks.iter().any(|call| call.submissions > 4), "{looks:?}");
}

#[tokio::test]
async fn the_limits_and_the_program_are_sent_as_judge0_wants_them() {
    let (double, judge0) = pair(Settings::default(), pace()).await;
    let question = crate::support::with_limits(1, 1.5, 100.0);
    let job =
        Job {
            language: gavel_domain::LanguageId(71), source: "é", question: &question, max_output_bytes: 1
        };
    let mut outcome = None;
    let ran = judge0
        .run(&job, &mut |execution| {
            outcome = Some(execution.outcome);
            std::ops::ControlFlow::Continue(())
        })
        .await;
    assert_eq!((ran, outcome), (Ok(Progress::Ran), Some(Outcome::Exited { code: 0 })));
    let programs = double.programs();
    let entry = &programs[0].entry;
    assert_eq!((programs[0].source.as_str(), &entry["language_id"]), ("é", &71.into()));
    assert_eq!((&entry["cpu_time_limit"], &entry["wall_time_limit"]), (&1.5.into(), &3.0.into()));
    assert_eq!((&entry["memory_limit"], &entry["max_file_size"]), (&102_400.into(), &1.into()));
    assert!(entry.get("expected_output").is_none(), "outputs are compared by our own rules");
}

/// Why the batch endpoint is polled: a single answer is kept for a while, whatever has become of the test.
#[tokio::test]
async fn a_single_answer_is_stale_where_the_batch_is_not() {
    let hour = Duration::from_hours(1);
    let settings = Settings { test_time: Duration::from_millis(300), cache: hour, ..Settings::default() };
    let double = Judge0Double::start(settings).await;
    let client = gavel_judge0::Client::new(&config(double.url())).unwrap();
    let entry = crate::support::entry();
    let posted = client.submit(&[entry]).await.unwrap().remove(0);
    let gavel_judge0::Posted::Token(token) = posted else { panic!("{posted:?}") };
    let single = async || {
        let url = format!("{}/submissions/{token}?base64_encoded=true", double.url());
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["status"]["id"].as_u64().unwrap()
    };
    assert_eq!(single().await, 2, "it runs");
    gavel_testkit::wait_until("its end", crate::support::PATIENCE, async || {
        client.look(&[&token]).await.unwrap()[0].as_ref().unwrap().is_final()
    })
    .await
    .unwrap();
    assert_eq!(single().await, 2, "as it was");
}
