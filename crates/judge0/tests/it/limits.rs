//! Judge0's limits: when they are read, and what happens to a question that exceeds them.

use std::time::Duration;

use gavel_domain::engine::Progress;
use gavel_judge0::Tuning;
use gavel_testkit::judge0::{Judge0Fault, Route, Settings, TestFault};
use serde_json::json;

use crate::support::{ComparableFault, TIMEOUT, final_fault, pair, question, run, tuning, with_limits};

#[tokio::test]
async fn limits_are_read_once_for_all_submissions() {
    let (mock, judge0) = pair(Settings::default(), tuning()).await;
    for _ in 0..3 {
        assert_eq!(run(&judge0, "echo", &question(2)).await.1, Ok(Progress::Ran));
    }
    assert_eq!(mock.request_count(Route::Config), 1);
}

#[tokio::test]
async fn limits_are_refreshed() {
    let (mock, _judge0) =
        pair(Settings::default(), Tuning { refresh_interval: Duration::from_millis(10), ..tuning() }).await;
    mock.wait_requests(Route::Config, 3, TIMEOUT).await;
}

#[tokio::test]
async fn question_outside_the_limits_fails_and_is_never_sent() {
    let (mock, judge0) = pair(Settings::default(), tuning()).await;
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
        let fault = final_fault("the question's limits are not supported by this judge", text);
        assert_eq!(run(&judge0, "echo", &question).await, (vec![], Err(fault)));
    }
    assert_eq!(mock.request_count(Route::PostBatch), 0);
}

#[tokio::test]
async fn rejection_by_judge0_is_final_and_quoted_for_the_operator() {
    let (_mock, judge0) = pair(Settings::default(), tuning()).await;
    let unknown =
        crate::support::run_in(&judge0, gavel_domain::LanguageId(4242), "echo", &question(6)).await.1;
    let text = "Judge0 rejected the submission: language_id language with id 4242 doesn't exist";
    assert_eq!(unknown, Err(final_fault("the judge cannot run this submission", text)));
}

#[tokio::test]
async fn disabled_batches_make_judge0_unavailable() {
    let settings = Settings { config: json!({ "enable_batched_submissions": false }), ..Settings::default() };
    let (_mock, judge0) = pair(settings, tuning()).await;
    let Err(ComparableFault::Unavailable { cause, .. }) = run(&judge0, "echo", &question(1)).await.1 else {
        panic!()
    };
    assert!(cause.contains("ENABLE_BATCHED_SUBMISSIONS"), "{cause}");
}

/// A gateway may hide them.
#[tokio::test]
async fn unknown_limits_do_not_keep_judge0_from_judging() {
    let hidden = [
        "max_cpu_time_limit",
        "max_wall_time_limit",
        "max_memory_limit",
        "max_stack_limit",
        "max_max_file_size",
    ];
    let config = hidden.into_iter().map(|field| (field.to_owned(), serde_json::Value::Null)).collect();
    let (_mock, judge0) = pair(Settings { config, ..Settings::default() }, tuning()).await;
    assert_eq!(run(&judge0, "echo", &with_limits(3, 100.0, 4096.0)).await.1, Ok(Progress::Ran));
    assert_eq!(judge0.breaker().state(), gavel_judge0::BreakerState::Closed);
}

/// Judge0 rejects a batch that its queue has no room for as a whole, however long one waits.
#[tokio::test]
async fn batch_is_not_larger_than_the_queue_has_room_for() {
    for config in [json!({}), json!({ "max_queue_size": null })] {
        let settings = Settings { max_queue: 2, workers: 1, config, ..Settings::default() };
        let is_size_known = settings.config.get("max_queue_size").is_none();
        let (mock, judge0) = pair(settings, tuning()).await;
        let question = question(10);
        let submissions = (0..3).map(|_| run(&judge0, "echo", &question));
        for (executions, ended) in futures::future::join_all(submissions).await {
            assert_eq!((executions.len(), ended), (10, Ok(Progress::Ran)));
        }
        let largest = mock
            .requests()
            .iter()
            .filter(|call| call.route == Route::PostBatch)
            .map(|call| call.submissions)
            .max();
        assert_eq!(largest, Some(if is_size_known { 2 } else { 5 }));
    }
}

#[tokio::test]
async fn batches_respect_the_batch_size_of_judge0() {
    let settings = Settings { config: json!({ "max_submission_batch_size": 2 }), ..Settings::default() };
    let (mock, judge0) = pair(settings, tuning()).await;
    let (executions, ended) = run(&judge0, "echo", &question(7)).await;
    assert_eq!((executions.len(), ended), (7, Ok(Progress::Ran)));
    assert!(mock.requests().iter().all(|call| call.submissions <= 2));
}

/// A gateway may hide limits that are lower than those of a canary.
#[tokio::test]
async fn canary_that_is_rejected_is_sent_with_the_limits_of_a_test() {
    let cpu_time = r#"[{"cpu_time_limit":["must be less than or equal to 1"]}]"#;
    let language = r#"[{"language_id":["language with id 43 doesn't exist"]}]"#;
    let rejected = "it rejected a canary: cpu_time_limit must be less than or equal to 1";
    let rows = [
        (1, cpu_time, Ok(Progress::Ran), 1),
        (2, cpu_time, Err(ComparableFault::Transient(rejected.to_owned())), 0),
        (1, language, Ok(Progress::Ran), 0),
    ];
    for (times, body, expected, canaries) in rows {
        let settings = Settings { test_time: Duration::from_millis(500), ..Settings::default() };
        // No probe sends another canary.
        let hour = Duration::from_hours(1);
        let tuning = Tuning { probe: gavel_domain::Backoff { base: hour, cap: hour }, ..tuning() };
        let (mock, judge0) = pair(settings, tuning).await;
        mock.test_fault(1, TestFault::Internal);
        let question = question(1);
        let rejecting = async {
            mock.wait_requests(Route::PostBatch, 1, TIMEOUT).await;
            mock.fault(Route::PostBatch, times, Judge0Fault::Status { code: 422, retry_after: None, body });
        };
        let ((_, ended), ()) = tokio::join!(run(&judge0, "echo", &question), rejecting);
        assert_eq!(ended, expected, "{times} {body}");
        let sent: Vec<_> = mock.programs().into_iter().filter(|program| program.source == "0").collect();
        assert_eq!(sent.len(), canaries, "{times} {body}");
        assert!(sent.iter().all(|canary| canary.entry["cpu_time_limit"] == 1.0), "{sent:?}");
    }
}
