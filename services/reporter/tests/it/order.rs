//! The order of the callbacks without faults: running, then the result; or the result alone; and many at once.

use std::time::{Duration, SystemTime};

use futures::{StreamExt as _, stream};
use gavel_bus::topology::Durable;
use gavel_bus::{Ledger, RunningClaim};
use gavel_mock_convex::Endpoint;
use gavel_testkit::TEST_TIMEOUT;
use gavel_testkit::fixtures::{passed, submission};

use crate::rig::{Rig, submissions};

#[tokio::test(flavor = "multi_thread")]
async fn running_and_result_are_sent_once_each() {
    let rig = Rig::start(&[]).await;
    let submission = submission("s1");
    assert!(rig.begin(&submission).await);
    rig.wait_applied("s1", Endpoint::RUNNING).await;
    assert_eq!(rig.convex.submission("s1").unwrap().status, gavel_mock_convex::Status::Running);
    rig.judge(&submission, passed()).await;
    let state = rig.check_final_state(&submission).await;
    assert_eq!((state.running_calls, state.result_calls), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn running_is_not_sent_if_a_verdict_exists() {
    let mut rig = Rig::bare().await;
    let (first, all) = (submission("first"), submissions("s", 50));
    rig.judge(&first, passed()).await;
    for submission in &all {
        rig.run(submission).await;
    }
    // The only slot for results is in use, so that no result is claimed before its running callback.
    let hold = rig.convex.hold(Endpoint::RESULT);
    rig.add_reporter(&[("REPORTER_SLOTS", "1")]).await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.jetstream.wait_idle(Durable::ReporterRunning).await;
    hold.release();
    rig.wait_reported(&all).await;
    assert_eq!((rig.convex.call_count(Endpoint::RUNNING), rig.convex.call_count(Endpoint::RESULT)), (0, 51));
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_events_through_three_reporters_are_reported_once() {
    let mut rig = Rig::bare().await;
    for _ in 0..3 {
        rig.add_reporter(&[]).await;
    }
    let all = submissions("s", 500);
    let both = async |submission| {
        tokio::join!(rig.begin(submission), rig.judge(submission, passed()));
    };
    stream::iter(&all).map(both).buffer_unordered(32).collect::<Vec<()>>().await;
    rig.wait_reported(&all).await;
    rig.wait_idle().await;
    for submission in &all {
        let state = rig.check_final_state(submission).await;
        assert_eq!(state.result_calls, 1, "{state:?}");
        assert!(state.running_calls <= 1, "{state:?}");
    }
    assert_eq!(rig.convex.running_after_result(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn reported_result_is_not_sent_again_on_redelivery() {
    let rig = Rig::start(&[]).await;
    let all = submissions("s", 20);
    for submission in &all {
        assert!(rig.begin(submission).await);
        rig.wait_applied(submission.id.as_str(), Endpoint::RUNNING).await;
        rig.judge(submission, passed()).await;
    }
    rig.wait_reported(&all).await;
    rig.wait_idle().await;
    let before = rig.convex.call_count(None);
    rig.delete_consumers().await;
    // The reporter creates the consumers again, which then deliver everything from the beginning.
    rig.wait_idle().await;
    assert_eq!(rig.convex.call_count(None), before);
}

/// The claim is held by a reporter whose clock is wrong by an hour, and which is still calling or was killed.
#[tokio::test(flavor = "multi_thread")]
async fn claim_with_a_wrong_clock_delays_the_result_by_at_least_one_window() {
    let rig = Rig::start(&[("RUNNING_TIMEOUT_MS", "500"), ("RUNNING_LINGER_MS", "1")]).await;
    let window = Duration::from_millis(1_500);
    let ledger = Ledger::new(rig.bus.clone(), "another".into());
    let (behind, ahead) = (submission("behind"), submission("ahead"));
    let (hour, now) = (Duration::from_hours(1), SystemTime::now());
    for (submission, expires_at) in [(&behind, now - hour), (&ahead, now + hour)] {
        assert_eq!(ledger.claim_running(&submission.key(), expires_at).await.unwrap(), RunningClaim::Won);
        rig.judge(submission, passed()).await;
    }
    for submission in [&behind, &ahead] {
        rig.check_final_state(submission).await;
        let first = &rig.convex.calls_of(submission.id.as_str())[0];
        assert!(first.received_wall >= now + window, "{}", submission.id);
    }
}
