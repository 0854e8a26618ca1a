//! Reporters that are killed or stopped during a call.

use std::time::Duration;

use gavel_mock_convex::{Endpoint, Lateness, Matcher};
use gavel_testkit::fixtures::{passed, submission};
use gavel_testkit::{Proxy, TEST_TIMEOUT};

use crate::rig::{Rig, submissions};

#[tokio::test(flavor = "multi_thread")]
async fn reporter_killed_during_a_running_call() {
    let rig = Rig::start(&[("RUNNING_TIMEOUT_MS", "500"), ("RUNNING_LINGER_MS", "4000")]).await;
    let submission = submission("s1");
    let hold = rig.convex.hold_before(Endpoint::RUNNING);
    assert!(rig.begin(&submission).await);
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.reporter(0).kill().await.unwrap();
    rig.judge(&submission, passed()).await;
    rig.reporter(0).restart().await.unwrap();
    rig.wait_result_calls("s1", 1).await;
    // Convex now applies the call of the killed reporter, after the result.
    hold.release();
    let state = rig.check_final_state(&submission).await;
    assert_eq!((state.running_calls, state.result_calls), (1, 2));
    assert_eq!(rig.late("s1", Lateness::Applied), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn reporter_killed_between_running_call_and_its_record() {
    let rig = Rig::start(&[("RUNNING_TIMEOUT_MS", "500"), ("RUNNING_LINGER_MS", "500")]).await;
    let submission = submission("s1");
    let hold = rig.convex.hold(Endpoint::RUNNING);
    assert!(rig.begin(&submission).await);
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.reporter(0).kill().await.unwrap();
    rig.reporter(0).restart().await.unwrap();
    rig.judge(&submission, passed()).await;
    let state = rig.check_final_state(&submission).await;
    rig.wait_idle().await;
    assert_eq!(state.running_calls, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn reporter_killed_between_running_claim_and_call() {
    let mut rig = Rig::bare().await;
    let proxy = Proxy::start(&rig.nats).await;
    let url = proxy.url();
    let settings = [("RUNNING_TIMEOUT_MS", "500"), ("RUNNING_LINGER_MS", "1"), ("NATS_URL", url.as_str())];
    rig.add_reporter(&settings).await;
    proxy.hold_answers_after("callback.claimed.s1");
    let submission = submission("s1");
    assert!(rig.begin(&submission).await);
    proxy.wait_held(TEST_TIMEOUT).await.unwrap();
    rig.reporter(0).kill().await.unwrap();
    proxy.cut();
    rig.judge(&submission, passed()).await;
    rig.reporter(0).restart().await.unwrap();
    let state = rig.check_final_state(&submission).await;
    rig.wait_idle().await;
    assert_eq!(state.running_calls, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn reporter_killed_between_report_and_acknowledgement() {
    let mut rig = Rig::bare().await;
    let proxy = Proxy::start(&rig.nats).await;
    let url = proxy.url();
    rig.add_reporter(&[("NATS_URL", url.as_str())]).await;
    // The publish, not the read before the call.
    proxy.hold_answers_after("HPUB submission.reported.s1");
    let submission = submission("s1");
    rig.judge(&submission, passed()).await;
    proxy.wait_held(TEST_TIMEOUT).await.unwrap();
    rig.wait_reported(std::slice::from_ref(&submission)).await;
    rig.reporter(0).kill().await.unwrap();
    proxy.cut();
    rig.reporter(0).restart().await.unwrap();
    rig.wait_idle().await;
    assert_eq!(rig.check_final_state(&submission).await.result_calls, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn reporter_killed_during_a_result_call() {
    let rig = Rig::start(&[]).await;
    let (before, after) = (submission("before"), submission("after"));
    let first = |id: &str| Matcher::of(Endpoint::RESULT).id(id).first(1);
    let holds = [rig.convex.hold_before(first("before")), rig.convex.hold(first("after"))];
    for submission in [&before, &after] {
        assert!(rig.begin(submission).await);
        rig.wait_applied(submission.id.as_str(), Endpoint::RUNNING).await;
        rig.judge(submission, passed()).await;
    }
    for hold in &holds {
        hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    }
    rig.reporter(0).restart().await.unwrap();
    for submission in [&before, &after] {
        rig.check_final_state(submission).await;
    }
    // Convex applies the held calls now, which changes nothing.
    drop(holds);
    for submission in [&before, &after] {
        let calls = rig.wait_result_calls(submission.id.as_str(), 2).await;
        let done = |_: &_| calls.iter().all(|call| call.applied_at().is_some()).then_some(());
        rig.convex.wait_for("both applied", TEST_TIMEOUT, done).await.unwrap();
        let state = rig.check_final_state(submission).await;
        assert_eq!((state.running_calls, state.result_calls), (1, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reporters_restarted_under_load_lose_nothing() {
    let mut rig = Rig::bare().await;
    let settings = [("RUNNING_TIMEOUT_MS", "500"), ("RUNNING_LINGER_MS", "500"), ("REPORTER_SLOTS", "8")];
    for _ in 0..2 {
        rig.add_reporter(&settings).await;
    }
    let all = submissions("s", 120);
    for (number, submission) in all.iter().enumerate() {
        rig.run(submission).await;
        if number % 20 == 10 {
            let reporter = rig.reporter(number / 20 % 2);
            reporter.restart().await.unwrap();
        }
    }
    rig.wait_reported(&all).await;
    for submission in &all {
        rig.check_final_state(submission).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_reporter_finishes_its_work() {
    let mut rig = Rig::start(&[]).await;
    let (running, result) = (submission("running"), submission("result"));
    let hold = rig.convex.hold(Matcher::any());
    assert!(rig.begin(&running).await);
    rig.judge(&result, passed()).await;
    hold.wait_arrived(2, TEST_TIMEOUT).await.unwrap();
    let reporter = rig.reporter(0);
    reporter.terminate().unwrap();
    reporter.wait_log("the shutdown", TEST_TIMEOUT, |line| line.contains("stopping")).await.unwrap();
    // Published after the stop, so it is left to another reporter.
    let later = submission("later");
    rig.judge(&later, passed()).await;
    hold.release();
    let ended = reporter.wait_exit(Duration::from_secs(5)).await.unwrap();
    assert_eq!(ended.code(), Some(0));
    let state = rig.check_final_state(&result).await;
    assert_eq!(state.result_calls, 1);
    assert!(rig.convex.submission("later").is_none());
    rig.add_reporter(&[]).await;
    rig.judge(&running, passed()).await;
    for submission in [&running, &later] {
        assert_eq!(rig.check_final_state(submission).await.result_calls, 1, "{}", submission.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_work_is_handed_over_after_the_grace_period() {
    let settings =
        [("SHUTDOWN_GRACE_MS", "200"), ("RUNNING_TIMEOUT_MS", "500"), ("RUNNING_LINGER_MS", "4000")];
    let mut rig = Rig::start(&settings).await;
    let (running, result) = (submission("running"), submission("result"));
    let hold = rig.convex.hold_before(Matcher::any().first(2));
    assert!(rig.begin(&running).await);
    rig.judge(&result, passed()).await;
    hold.wait_arrived(2, TEST_TIMEOUT).await.unwrap();
    rig.add_reporter(&settings).await;
    rig.reporter(0).terminate().unwrap();
    let ended = rig.reporter(0).wait_exit(Duration::from_secs(5)).await.unwrap();
    assert_eq!(ended.code(), Some(0));
    assert_eq!(rig.check_final_state(&result).await.result_calls, 2);
    rig.judge(&running, passed()).await;
    rig.wait_result_calls("running", 1).await;
    hold.release();
    rig.check_final_state(&running).await;
}
