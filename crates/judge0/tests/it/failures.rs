//! Failures of Judge0 and of the calls to it, none of which is the program's fault.

use std::sync::Arc;
use std::time::Duration;

use gavel_domain::engine::Progress;
use gavel_judge0::Tuning;
use gavel_testkit::judge0::{Judge0Fault, Program, Route, Settings, TestFault, accepted};
use serde_json::json;

use crate::support::{
    ComparableFault, final_fault, pair, question, run, times_submitted, tuning, with_limits,
};

#[tokio::test]
async fn test_that_judge0_failed_on_is_sent_again_under_a_new_token() {
    for mishap in [TestFault::Internal, TestFault::ExecFormat, TestFault::NoStatus, TestFault::Vanished] {
        let (mock, judge0) = pair(Settings::default(), tuning()).await;
        mock.test_fault(2, mishap);
        let (executions, ended) = run(&judge0, "echo", &question(6)).await;
        assert_eq!((executions.len(), ended), (6, Ok(Progress::Ran)), "{mishap:?}");
        assert_eq!(times_submitted(&mock, "echo"), 8, "{mishap:?}");
    }
}

#[tokio::test]
async fn test_that_never_finishes_is_sent_again() {
    // A second each for the compiler and the program: Judge0 accepts no less.
    let settings = Settings { config: json!({ "max_wall_time_limit": 1 }), ..Settings::default() };
    let tuning = Tuning { start_grace: Duration::ZERO, ..tuning() };
    let (mock, judge0) = pair(settings, tuning).await;
    mock.test_fault(1, TestFault::Stuck);
    let (executions, ended) = run(&judge0, "echo", &with_limits(1, 0.5, 64.0)).await;
    assert_eq!((executions.len(), ended, times_submitted(&mock, "echo")), (1, Ok(Progress::Ran), 2));
}

#[tokio::test]
async fn test_that_started_late_has_its_full_time() {
    // The second test starts in time, after 1.2 s of 2 s, and ends after 2.4 s.
    let settings = Settings { workers: 1, test_time: Duration::from_millis(1_200), ..Settings::default() };
    let (mock, judge0) = pair(settings, Tuning { lost_after: Duration::ZERO, ..tuning() }).await;
    assert_eq!(run(&judge0, "echo", &question(2)).await.1, Ok(Progress::Ran));
    assert_eq!(times_submitted(&mock, "echo"), 2);
}

/// A status 13 on a busy Judge0 says as little about it as on an idle one.
#[tokio::test]
async fn canary_is_retried_while_judge0_is_busy() {
    let faults = [
        Judge0Fault::Status { code: 503, retry_after: None, body: r#"{"error":"queue is full"}"# },
        Judge0Fault::Page(502),
    ];
    for fault in faults {
        let settings = Settings { test_time: Duration::from_millis(500), ..Settings::default() };
        let (mock, judge0) = pair(settings, tuning()).await;
        mock.test_fault(1, TestFault::Internal);
        let question = question(1);
        let busy = async {
            mock.wait_requests(Route::PostBatch, 1, crate::support::TIMEOUT).await;
            mock.fault(Route::PostBatch, 3, fault.clone());
        };
        let ((_, ended), ()) = tokio::join!(run(&judge0, "echo", &question), busy);
        assert_eq!(ended, Ok(Progress::Ran), "{fault:?}");
        // The test, three canaries that were not accepted and one that was, the test again.
        assert_eq!(mock.request_count(Route::PostBatch), 6, "{fault:?}");
    }
}

/// If the workers are dead, the queue does not move: an outage, not a failure of one test.
#[tokio::test]
async fn submission_is_handed_back_if_the_queue_does_not_move() {
    let tuning = Tuning { lost_after: Duration::ZERO, ..tuning() };
    let (mock, judge0) = pair(Settings::default(), tuning).await;
    mock.test_fault(None, TestFault::Waiting);
    let (_, ended) = run(&judge0, "echo", &question(1)).await;
    assert!(matches!(ended, Err(ComparableFault::Unavailable { .. })), "{ended:?}");
    assert_eq!(times_submitted(&mock, "echo"), 1);
    assert!(matches!(judge0.breaker().state(), gavel_judge0::BreakerState::NotRunning(_)));
}

/// The sandbox of Judge0 cannot handle this one program, and runs all others.
#[tokio::test]
async fn fifth_failure_on_a_test_is_final_if_other_programs_run() {
    let rows = [
        (json!({ "status_id": 13 }), "internal error (status 13)"),
        (json!({ "status_id": 14 }), "exec format error (status 14)"),
        (json!({ "status_id": null, "status": null }), "answer without a status"),
    ];
    for (report, cause) in rows {
        let script = move |program: &Program| {
            if program.source == "cursed" { report.clone() } else { accepted(&program.stdin) }
        };
        let settings = Settings { script: Arc::new(script), ..Settings::default() };
        let (mock, judge0) = pair(settings, tuning()).await;
        let text = format!("Judge0 failed on a test 5 times; the last cause: {cause}");
        let fault = final_fault("the submission could not be judged because of a system error", &text);
        assert_eq!(run(&judge0, "cursed", &question(1)).await.1, Err(fault));
        assert_eq!(times_submitted(&mock, "cursed"), 5);
        assert_eq!(judge0.breaker().state(), gavel_judge0::BreakerState::Closed);
        assert_eq!(run(&judge0, "echo", &question(3)).await.1, Ok(Progress::Ran));
    }
}

/// Each kind of failure, on each call, three times in a row.
#[tokio::test]
async fn failed_calls_are_retried() {
    let faults = [
        Judge0Fault::Status { code: 503, retry_after: None, body: r#"{"error":"queue is full"}"# },
        Judge0Fault::Status { code: 429, retry_after: None, body: "slow down" },
        Judge0Fault::Status { code: 500, retry_after: None, body: "" },
        Judge0Fault::Status { code: 502, retry_after: None, body: "<html>bad gateway</html>" },
        Judge0Fault::Page(200),
        Judge0Fault::Page(503),
        Judge0Fault::Half,
        Judge0Fault::OtherJson,
    ];
    for fault in faults {
        for route in [Route::Config, Route::PostBatch, Route::GetBatch] {
            let mock = gavel_testkit::MockJudge0::start(Settings::default()).await;
            mock.fault(route, 3, fault.clone());
            let judge0 = gavel_judge0::Judge0::start(&crate::support::config(mock.url()), tuning()).unwrap();
            let (executions, ended) = run(&judge0, "echo", &question(3)).await;
            assert_eq!((executions.len(), ended), (3, Ok(Progress::Ran)), "{route:?} {fault:?}");
        }
    }
}

#[tokio::test]
async fn call_timeouts_are_retried() {
    let mock = gavel_testkit::MockJudge0::start(Settings::default()).await;
    let mut config = crate::support::config(mock.url());
    config.timeout = Duration::from_millis(300);
    let judge0 = gavel_judge0::Judge0::start(&config, tuning()).unwrap();
    for route in [Route::PostBatch, Route::GetBatch] {
        mock.fault(route, 1, Judge0Fault::Slow(Duration::from_mins(1)));
        let (executions, ended) = run(&judge0, "echo", &question(2)).await;
        assert_eq!((executions.len(), ended), (2, Ok(Progress::Ran)), "{route:?}");
    }
}

/// A full queue proves that Judge0 is alive: the submission is handed back, and the breaker stays closed.
#[tokio::test]
async fn submission_is_handed_back_if_the_queue_stays_full() {
    let retry_budget = Duration::from_millis(200);
    let (mock, judge0) =
        pair(Settings { max_queue: 0, ..Settings::default() }, Tuning { retry_budget, ..tuning() }).await;
    let (_, ended) = run(&judge0, "echo", &question(6)).await;
    let Err(ComparableFault::Unavailable { cause, retry_after }) = ended else { panic!("{ended:?}") };
    assert!(
        cause.contains("queue is full") && retry_after >= Duration::from_secs(3),
        "{cause} {retry_after:?}"
    );
    assert_eq!(judge0.breaker().state(), gavel_judge0::BreakerState::Closed);
    assert!(mock.request_count(Route::PostBatch) > 1);
}

#[tokio::test]
async fn retry_after_header_is_respected() {
    let (mock, judge0) = pair(Settings::default(), tuning()).await;
    mock.fault(Route::PostBatch, 1, Judge0Fault::Status { code: 429, retry_after: Some(60), body: "{}" });
    let (_, ended) = run(&judge0, "echo", &question(1)).await;
    let Err(ComparableFault::Unavailable { retry_after, .. }) = ended else { panic!("{ended:?}") };
    assert_eq!(
        retry_after,
        Duration::from_mins(1),
        "longer than the retry budget, so the submission is handed back"
    );
}
