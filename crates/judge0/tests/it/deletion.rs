//! The deletion of what Judge0 would keep: sources and hidden inputs.

use std::sync::Arc;
use std::time::Duration;

use gavel_domain::engine::Progress;
use gavel_judge0::{BreakerState, Judge0, Judge0Config};
use gavel_testkit::MockJudge0;
use gavel_testkit::judge0::{Program, Route, Settings, accepted};
use serde_json::json;

use crate::support::{TIMEOUT, config, question, run, tuning};

async fn pair(settings: Settings) -> (MockJudge0, Judge0) {
    let settings = Settings { deletion_key: Some("delete".into()), ..settings };
    let mock = MockJudge0::start(settings).await;
    let headers = vec![("X-Auth-User".into(), "delete".into())];
    let judge0 = Judge0::start(&Judge0Config { headers, ..config(mock.url()) }, tuning()).unwrap();
    (mock, judge0)
}

/// Those that were read, and those that ran ahead of the failing test and were never read.
#[tokio::test]
async fn every_submission_is_deleted_once_it_has_finished() {
    let script = |program: &Program| match program.stdin.as_str() {
        "2\n" => accepted("no\n"),
        _ => accepted(&program.stdin),
    };
    let (mock, judge0) = pair(Settings {
        workers: 1,
        test_time: Duration::from_millis(50),
        config: json!({ "enable_submission_delete": true }),
        script: Arc::new(script),
        ..Settings::default()
    })
    .await;
    assert_eq!(run(&judge0, "echo", &question(20)).await.0.len(), 3);
    // Another submission, whose polls notice that the tests ahead are abandoned.
    assert_eq!(run(&judge0, "echo", &question(1)).await.1, Ok(Progress::Ran));
    gavel_testkit::wait_until("an empty database", TIMEOUT, async || mock.programs().is_empty())
        .await
        .unwrap();
    assert!(mock.deleted_count() >= 6, "{}", mock.deleted_count());
}

#[tokio::test]
async fn key_without_the_right_to_delete_is_tried_once_and_judging_goes_on() {
    let config = json!({ "enable_submission_delete": true });
    let (mock, _) = pair(Settings { config, ..Settings::default() }).await;
    let judge0 = Judge0::start(&crate::support::config(mock.url()), tuning()).unwrap();
    for _ in 0..3 {
        assert_eq!(run(&judge0, "echo", &question(5)).await.1, Ok(Progress::Ran));
    }
    mock.wait_requests(Route::Delete, 1, TIMEOUT).await;
    assert_eq!(judge0.breaker().state(), BreakerState::Closed, "the key is good for everything else");
    assert_eq!((mock.request_count(Route::Delete), mock.deleted_count()), (1, 0));
}

#[tokio::test]
async fn nothing_is_deleted_where_judge0_disables_it() {
    let (mock, judge0) = pair(Settings::default()).await;
    assert_eq!(run(&judge0, "echo", &question(5)).await.1, Ok(Progress::Ran));
    assert_eq!((mock.request_count(Route::Delete), mock.programs().len()), (0, 5));
}
