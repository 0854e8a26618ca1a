//! The breaker, with a Judge0 that is unreachable or rejects the API key.

use std::time::Duration;

use gavel_domain::Backoff;
use gavel_domain::engine::Progress;
use gavel_judge0::{BreakerState, Judge0, Judge0Config, Tuning};
use gavel_testkit::MockJudge0;
use gavel_testkit::judge0::{Judge0Fault, Route, Settings, TestFault};

use crate::support::{ComparableFault, TIMEOUT, config, pair, question, run, tuning, wait_for_state};

#[tokio::test]
async fn breaker_opens_when_judge0_stops_and_closes_when_it_returns() {
    let mock = MockJudge0::start(Settings::default()).await;
    let address = mock.address();
    let judge0 = Judge0::start(&config(mock.url()), tuning()).unwrap();
    assert_eq!(run(&judge0, "echo", &question(1)).await.1, Ok(Progress::Ran));
    // The port is free once the task has ended: a runtime drops the tasks that it aborts.
    mock.stop().await;
    let (_, ended) = run(&judge0, "echo", &question(1)).await;
    let Err(ComparableFault::Unavailable { cause, .. }) = ended else { panic!("{ended:?}") };
    assert!(cause.starts_with("Judge0 is unreachable: cannot connect to Judge0"), "{cause}");
    let is_closed = judge0.breaker().is_closed();
    assert!(!*is_closed.borrow());
    // No calls are made while it is open.
    assert!(matches!(run(&judge0, "echo", &question(1)).await.1, Err(ComparableFault::Unavailable { .. })));
    let _mock = MockJudge0::start_at(address, Settings::default()).await;
    wait_for_state(&judge0, |state| *state == BreakerState::Closed).await;
    assert_eq!(run(&judge0, "echo", &question(1)).await.1, Ok(Progress::Ran));
}

#[tokio::test]
async fn engine_waits_for_judge0_that_is_unreachable_at_start() {
    let gone = MockJudge0::start(Settings::default()).await;
    let (address, url) = (gone.address(), gone.url());
    gone.stop().await;
    let judge0 = Judge0::start(&config(url), tuning()).unwrap();
    wait_for_state(&judge0, |state| matches!(state, BreakerState::Open(_))).await;
    let _mock = MockJudge0::start_at(address, Settings::default()).await;
    wait_for_state(&judge0, |state| *state == BreakerState::Closed).await;
    assert_eq!(run(&judge0, "echo", &question(1)).await.1, Ok(Progress::Ran));
}

#[tokio::test]
async fn submission_in_progress_is_handed_back_when_breaker_opens() {
    let (mock, judge0) = pair(Settings::default(), tuning()).await;
    mock.fault(Route::GetBatch, None, Judge0Fault::Page(502));
    let (shown, ended) = run(&judge0, "echo", &question(3)).await;
    assert!(shown.is_empty() && matches!(ended, Err(ComparableFault::Unavailable { .. })), "{ended:?}");
    let polls = mock.request_count(Route::GetBatch);
    assert!(polls < 20, "an unreachable Judge0 is not polled: {polls} calls");
    mock.clear_faults();
    wait_for_state(&judge0, |state| *state == BreakerState::Closed).await;
    assert_eq!(run(&judge0, "echo", &question(3)).await.1, Ok(Progress::Ran));
}

/// Whether or not the configuration can be read without the key.
#[tokio::test]
async fn wrong_api_key_is_reported_and_not_retried() {
    for is_config_public in [false, true] {
        let settings = Settings { keys: vec!["right".into()], is_config_public, ..Settings::default() };
        let mock = MockJudge0::start(settings).await;
        let wrong = Judge0Config { api_key: Some("wrong".into()), ..config(mock.url()) };
        let judge0 = Judge0::start(&wrong, tuning()).unwrap();
        let (_, ended) = run(&judge0, "echo", &question(1)).await;
        let Err(ComparableFault::Unavailable { cause, .. }) = ended else { panic!("{ended:?}") };
        assert!(cause.contains("status 401") && cause.contains("JUDGE0_API_KEY"), "{cause}");
        assert_eq!(judge0.breaker().state(), BreakerState::Denied(401));
        let posts = mock.request_count(Route::PostBatch);
        assert_eq!(posts, usize::from(is_config_public), "a rejected call is not retried");
        let ended = run(&judge0, "echo", &question(1)).await.1;
        assert!(matches!(ended, Err(ComparableFault::Unavailable { .. })), "{ended:?}");
        // Reading the configuration does not close the breaker.
        mock.wait_requests(Route::Config, 4, TIMEOUT).await;
        assert_eq!(judge0.breaker().state(), BreakerState::Denied(401));
        assert_eq!(mock.request_count(Route::PostBatch), posts);
        mock.set_keys(&["right", "wrong"]);
        wait_for_state(&judge0, |state| *state == BreakerState::Closed).await;
        assert_eq!(run(&judge0, "echo", &question(1)).await.1, Ok(Progress::Ran));
    }
}

#[tokio::test]
async fn every_call_sends_api_key_and_headers() {
    let mock = MockJudge0::start(Settings { keys: vec!["k".into()], ..Settings::default() }).await;
    let headers = vec![("X-RapidAPI-Key".into(), "a=b".into()), ("X-RapidAPI-Host".into(), "h".into())];
    let judge0 =
        Judge0::start(&Judge0Config { api_key: Some("k".into()), headers, ..config(mock.url()) }, tuning());
    assert_eq!(run(&judge0.unwrap(), "echo", &question(1)).await.1, Ok(Progress::Ran));
    for call in mock.requests() {
        for (name, value) in [("x-auth-token", "k"), ("x-rapidapi-key", "a=b"), ("x-rapidapi-host", "h")] {
            assert!(call.headers.contains(&(name.to_owned(), value.to_owned())), "{call:?}");
        }
    }
}

#[test]
fn invalid_configuration_is_rejected_without_showing_keys() {
    for url in ["", "localhost:2358", "ftp://x", "http://x/?a=b", "http://u:p@x"] {
        assert!(gavel_judge0::Judge0Client::new(&config(url.to_owned())).is_err(), "{url}");
    }
    let bad = Judge0Config { api_key: Some("a\nb".into()), ..config("http://x".into()) };
    assert!(!gavel_judge0::Judge0Client::new(&bad).unwrap_err().to_string().contains("a\nb"));
    let config =
        Judge0Config { api_key: Some("hush".into()), headers: vec![("X".into(), "hush".into())], ..bad };
    assert!(!format!("{config:?}").contains("hush"));
}

#[tokio::test]
async fn busy_judge0_is_probed_as_often_as_before() {
    let (ms, hour) = (Duration::from_millis, Duration::from_hours(1));
    let tuning = Tuning { probe: Backoff { base: ms(5), cap: hour }, ..tuning() };
    let (mock, judge0) = pair(Settings::default(), tuning).await;
    mock.test_fault(None, TestFault::Internal);
    assert!(run(&judge0, "echo", &question(1)).await.1.is_err());
    let body = r#"{"error":"queue is full"}"#;
    mock.fault(Route::PostBatch, None, Judge0Fault::Status { code: 503, retry_after: None, body });
    // Delays that doubled each time would reach an hour.
    let posts = mock.request_count(Route::PostBatch);
    mock.wait_requests(Route::PostBatch, posts + 30, TIMEOUT).await;
    let problem = judge0.breaker().state().problem().unwrap();
    assert_eq!(problem, "Judge0 answers but runs no programs: internal error (status 13)");
}
