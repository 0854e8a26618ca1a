//! Judge0's limits: read once, refreshed, and said plainly.

use std::time::Duration;

use gavel_judge0::{Fault, Pace, Progress};
use gavel_testkit::judge0::{Route, Settings};
use serde_json::json;

use crate::support::{PATIENCE, pace, pair, question, run, with_limits};

#[tokio::test]
async fn they_are_read_once_for_all_submissions() {
    let (double, judge0) = pair(Settings::default(), pace()).await;
    for _ in 0..3 {
        assert_eq!(run(&judge0, "echo", &question(2)).await.1, Ok(Progress::Ran));
    }
    assert_eq!(double.call_count(Route::Config), 1);
}

#[tokio::test]
async fn they_are_read_again_from_time_to_time() {
    let (double, _judge0) =
        pair(Settings::default(), Pace { refresh: Duration::from_millis(10), ..pace() }).await;
    double.wait_calls(Route::Config, 3, PATIENCE).await;
}

#[tokio::test]
async fn a_question_that_asks_for_too_much_or_too_little_is_final_and_never_sent() {
    let (double, judge0) = pair(Settings::default(), pace()).await;
    let rows = [
        (with_limits(1, 16.0, 64.0), "the question asks for 16 s of CPU time and Judge0 allows at most 15 s"),
        (
            with_limits(1, 1.0, 1024.0),
            "the question asks for 1048576 KB of memory and Judge0 allows at most 512000 KB",
        ),
        (
            with_limits(1, 1.0, 1.0),
            "the question asks for 1024 KB of memory and Judge0 allows at least 2048 KB",
        ),
        (
            with_limits(1, 0.25, 64.0),
            "the question asks for 0.5 s of wall time and Judge0 allows at least 1 s",
        ),
    ];
    for (question, text) in rows {
        assert_eq!(run(&judge0, "echo", &question).await, (vec![], Err(Fault::Final(text.to_owned()))));
    }
    assert_eq!(double.call_count(Route::PostBatch), 0);
}

#[tokio::test]
async fn what_judge0_refuses_all_the_same_is_final_with_its_words() {
    let (_double, judge0) = pair(Settings::default(), pace()).await;
    let unknown =
        crate::support::run_in(&judge0, gavel_domain::LanguageId(4242), "echo", &question(6)).await.1;
    let text = "Judge0 refuses the submission: language_id language with id 4242 doesn't exist";
    assert_eq!(unknown, Err(Fault::Final(text.to_owned())));
}

#[tokio::test]
async fn a_judge0_without_batches_is_no_use_and_says_so() {
    let settings = Settings { config: json!({ "enable_batched_submissions": false }), ..Settings::default() };
    let (_double, judge0) = pair(settings, pace()).await;
    let Err(Fault::Unavailable { cause, .. }) = run(&judge0, "echo", &question(1)).await.1 else { panic!() };
    assert!(cause.contains("ENABLE_BATCHED_SUBMISSIONS"), "{cause}");
}

#[tokio::test]
async fn a_small_batch_size_is_kept_to() {
    let settings = Settings { config: json!({ "max_submission_batch_size": 2 }), ..Settings::default() };
    let (double, judge0) = pair(settings, pace()).await;
    let (shown, ended) = run(&judge0, "echo", &question(7)).await;
    assert_eq!((shown.len(), ended), (7, Ok(Progress::Ran)));
    assert!(double.calls().iter().all(|call| call.submissions <= 2));
}
