//! Judge0's API is alive, and nothing is processed.

use std::time::Duration;

use gavel_domain::engine::Progress;
use gavel_judge0::{BreakerState, Tuning};
use gavel_testkit::judge0::{Route, Settings};
use serde_json::json;

use crate::support::{
    ComparableFault, TIMEOUT, pair, question, run, times_submitted, tuning, wait_for_state, with_limits,
};

fn impatient() -> Tuning {
    Tuning { stall_after: Duration::from_millis(100), start_grace: Duration::ZERO, ..tuning() }
}

#[tokio::test]
async fn judge0_without_workers_is_noticed_and_used_again_once_it_has_workers() {
    let (mock, judge0) = pair(Settings::default(), impatient()).await;
    mock.stop_workers();
    let (_, ended) = run(&judge0, "echo", &question(5)).await;
    let Err(ComparableFault::Unavailable { cause, .. }) = ended else { panic!("{ended:?}") };
    assert!(cause.contains("it has no workers"), "{cause}");
    let problem = judge0.breaker().state().problem().unwrap();
    assert_eq!(problem, "Judge0 answers but runs no programs: it has no workers");
    // Probes do not fill the queue meanwhile.
    let polls = mock.request_count(Route::Workers);
    mock.wait_requests(Route::Workers, polls + 5, TIMEOUT).await;
    assert!(times_submitted(&mock, "0") <= 1, "{}", times_submitted(&mock, "0"));
    mock.start_workers();
    wait_for_state(&judge0, |state| *state == BreakerState::Closed).await;
    assert_eq!(run(&judge0, "echo", &question(5)).await.1, Ok(Progress::Ran));
}

/// Killed workers stay registered and say that they are working.
#[tokio::test]
async fn killed_workers_are_noticed_by_the_test_that_they_ran() {
    let config = json!({ "max_wall_time_limit": 1 });
    let settings = Settings { workers: 1, test_time: Duration::from_mins(1), config, ..Settings::default() };
    let (mock, judge0) = pair(settings, impatient()).await;
    let question = with_limits(3, 0.5, 64.0);
    let killed = async {
        mock.wait_requests(Route::GetBatch, 1, TIMEOUT).await;
        mock.kill_workers();
    };
    let ((_, ended), ()) = tokio::join!(run(&judge0, "echo", &question), killed);
    let Err(ComparableFault::Transient(cause)) = ended else { panic!("{ended:?}") };
    assert!(cause.contains("its workers started a test and did not finish it"), "{cause}");
    assert!(matches!(judge0.breaker().state(), BreakerState::NotRunning(_)));
}

/// After Redis has been flushed, tests are "In Queue" in the database and in no queue.
#[tokio::test]
async fn tests_that_judge0_forgot_are_sent_again() {
    let settings = Settings { workers: 1, test_time: Duration::from_millis(100), ..Settings::default() };
    let tuning = Tuning { stall_after: Duration::from_millis(400), ..tuning() };
    let (mock, judge0) = pair(settings, tuning).await;
    let question = question(5);
    let flushed = async {
        mock.wait_requests(Route::GetBatch, 1, TIMEOUT).await;
        mock.flush_queue();
    };
    let ((executions, ended), ()) = tokio::join!(run(&judge0, "echo", &question), flushed);
    assert_eq!((executions.len(), ended), (5, Ok(Progress::Ran)));
    assert!(times_submitted(&mock, "echo") > 5);
    assert_eq!(judge0.breaker().state(), BreakerState::Closed);
}

/// Waiting behind others is normal.
#[tokio::test]
async fn long_queue_is_not_a_stall() {
    let settings = Settings { workers: 1, test_time: Duration::from_millis(300), ..Settings::default() };
    let (_mock, judge0) = pair(settings, impatient()).await;
    let question = question(4);
    let submissions = (0..3).map(|_| run(&judge0, "echo", &question));
    for (executions, ended) in futures::future::join_all(submissions).await {
        assert_eq!((executions.len(), ended), (4, Ok(Progress::Ran)));
    }
    assert_eq!(judge0.breaker().state(), BreakerState::Closed);
}
