//! What goes wrong at Judge0 or on the way there, and is not the program's fault.

use std::time::Duration;

use gavel_judge0::{Fault, Pace, Progress};
use gavel_testkit::judge0::{Fault as Wrong, Mishap, Route, Settings};

use crate::support::{pace, pair, question, run};

#[tokio::test]
async fn a_test_that_judge0_fails_on_is_sent_again_under_a_fresh_token() {
    for mishap in [Mishap::Internal, Mishap::ExecFormat, Mishap::NoStatus, Mishap::Vanished] {
        let (double, judge0) = pair(Settings::default(), pace()).await;
        double.mishap(2, mishap);
        let (shown, ended) = run(&judge0, "echo", &question(6)).await;
        assert_eq!((shown.len(), ended), (6, Ok(Progress::Ran)), "{mishap:?}");
        assert_eq!(double.programs().len(), 8, "{mishap:?}");
    }
}

#[tokio::test]
async fn a_test_that_is_never_ended_is_sent_again_too() {
    // Its wall time is two seconds at least: Judge0 takes no less than one.
    let pace = Pace { lost_after: Duration::ZERO, ..pace() };
    let (double, judge0) = pair(Settings::default(), pace).await;
    double.mishap(1, Mishap::Stuck);
    let (shown, ended) = run(&judge0, "echo", &question(1)).await;
    assert_eq!((shown.len(), ended, double.programs().len()), (1, Ok(Progress::Ran), 2));
}

/// Where the workers are dead the queue is not emptied: no fault of one test, but an outage.
#[tokio::test]
async fn a_queue_that_nobody_empties_hands_the_submission_back() {
    let pace = Pace { lost_after: Duration::ZERO, ..pace() };
    let (double, judge0) = pair(Settings::default(), pace).await;
    double.mishap(None, Mishap::Waiting);
    let (_, ended) = run(&judge0, "echo", &question(1)).await;
    assert!(matches!(ended, Err(Fault::Unavailable { .. })), "{ended:?}");
    assert_eq!(double.programs().len(), 1);
}

#[tokio::test]
async fn after_three_times_it_is_final_and_names_the_reason() {
    let rows = [
        (Mishap::Internal, "an internal error (status 13)"),
        (Mishap::ExecFormat, "an exec format error (status 14)"),
        (Mishap::NoStatus, "an answer without a status"),
        (Mishap::Vanished, "a token that it has forgotten"),
    ];
    for (mishap, reason) in rows {
        let (double, judge0) = pair(Settings::default(), pace()).await;
        double.mishap(None, mishap);
        let text = format!("Judge0 failed on a test 3 times, the last time by {reason}");
        assert_eq!(run(&judge0, "echo", &question(1)).await.1, Err(Fault::Final(text)));
        assert_eq!(double.programs().len(), 3);
    }
}

/// Each kind of trouble of one call, on each call, some times in a row.
#[tokio::test]
async fn a_call_that_fails_is_tried_again() {
    let troubles = [
        Wrong::Status { code: 503, retry_after: None, body: r#"{"error":"queue is full"}"# },
        Wrong::Status { code: 429, retry_after: None, body: "slow down" },
        Wrong::Status { code: 500, retry_after: None, body: "" },
        Wrong::Status { code: 502, retry_after: None, body: "<html>bad gateway</html>" },
        Wrong::Page(200),
        Wrong::Page(503),
        Wrong::Half,
        Wrong::OtherJson,
    ];
    for trouble in troubles {
        for route in [Route::Config, Route::PostBatch, Route::GetBatch] {
            let double = gavel_testkit::Judge0Double::start(Settings::default()).await;
            double.fault(route, 3, trouble.clone());
            let judge0 = gavel_judge0::Judge0::start(&crate::support::config(double.url()), pace()).unwrap();
            let (shown, ended) = run(&judge0, "echo", &question(3)).await;
            assert_eq!((shown.len(), ended), (3, Ok(Progress::Ran)), "{route:?} {trouble:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_tried_again() {
    let double = gavel_testkit::Judge0Double::start(Settings::default()).await;
    let mut config = crate::support::config(double.url());
    config.timeout = Duration::from_millis(300);
    let judge0 = gavel_judge0::Judge0::start(&config, pace()).unwrap();
    for route in [Route::PostBatch, Route::GetBatch] {
        double.fault(route, 1, Wrong::Slow(Duration::from_mins(1)));
        let (shown, ended) = run(&judge0, "echo", &question(2)).await;
        assert_eq!((shown.len(), ended), (2, Ok(Progress::Ran)), "{route:?}");
    }
}

/// A full queue is a sign of life: the submission is handed back, and the breaker stays closed.
#[tokio::test]
async fn a_queue_that_stays_full_hands_the_submission_back() {
    let patience = Duration::from_millis(200);
    let (double, judge0) =
        pair(Settings { max_queue: 0, ..Settings::default() }, Pace { patience, ..pace() }).await;
    let (_, ended) = run(&judge0, "echo", &question(6)).await;
    let Err(Fault::Unavailable { cause, after }) = ended else { panic!("{ended:?}") };
    assert!(cause.contains("queue is full") && after >= Duration::from_secs(3), "{cause} {after:?}");
    assert_eq!(judge0.breaker().state(), gavel_judge0::State::Closed);
    assert!(double.call_count(Route::PostBatch) > 1);
}

#[tokio::test]
async fn what_judge0_asks_us_to_wait_is_waited() {
    let (double, judge0) = pair(Settings::default(), pace()).await;
    double.fault(Route::PostBatch, 1, Wrong::Status { code: 429, retry_after: Some(60), body: "{}" });
    let (_, ended) = run(&judge0, "echo", &question(1)).await;
    let Err(Fault::Unavailable { after, .. }) = ended else { panic!("{ended:?}") };
    assert_eq!(after, Duration::from_mins(1), "more than the patience: handed back, for that long");
}
