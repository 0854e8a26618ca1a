//! Reporters that are suspended and resumed later, as on a machine that hangs.

use std::time::Duration;

use gavel_mock_convex::{Endpoint, HttpFault, Lateness, Matcher, Status};
use gavel_testkit::fixtures::{passed, submission};
use gavel_testkit::{LogLine, Proxy, TEST_TIMEOUT};

use crate::rig::Rig;

const SHORT: [(&str, &str); 2] = [("RUNNING_TIMEOUT_MS", "500"), ("RUNNING_LINGER_MS", "1000")];

#[tokio::test(flavor = "multi_thread")]
async fn frozen_reporter_in_a_running_call_is_replaced_by_another() {
    // The server may deliver the verdict to the frozen reporter first; after the acknowledgement timeout the other
    // gets it.
    let settings = [SHORT[0], ("RUNNING_LINGER_MS", "6000")];
    let mut rig = Rig::start(&settings).await;
    let submission = submission("s1");
    let hold = rig.convex.hold_before(Endpoint::RUNNING);
    assert!(rig.begin(&submission).await);
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.reporter(0).freeze().unwrap();
    rig.add_reporter(&settings).await;
    rig.judge(&submission, passed()).await;
    rig.wait_result_calls("s1", 1).await;
    hold.release();
    rig.wait_applied("s1", Endpoint::RUNNING).await;
    rig.check_final_state(&submission).await;
    rig.reporter(0).thaw().unwrap();
    rig.wait_idle().await;
    rig.check_final_state(&submission).await;
    assert_eq!(rig.late("s1", Lateness::Applied), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn reporter_frozen_beyond_its_claim_sends_the_result_again() {
    let mut rig = Rig::start(&SHORT).await;
    let submission = submission("s1");
    let hold = rig.convex.hold_before(Endpoint::RUNNING);
    assert!(rig.begin(&submission).await);
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.reporter(0).freeze().unwrap();
    rig.add_reporter(&SHORT).await;
    rig.judge(&submission, passed()).await;
    rig.check_final_state(&submission).await;
    let result_calls = rig.convex.submission("s1").unwrap().result_calls;
    // Convex applies the call after the linger, as if the process had been suspended before its last write.
    hold.release();
    let is_running = |state: &gavel_mock_convex::SubmissionState| state.status == Status::Running;
    rig.convex.wait_submission("s1", TEST_TIMEOUT, is_running).await.unwrap();
    rig.convex.fault(Matcher::of(Endpoint::RESULT).first(1), HttpFault::status(503));
    rig.reporter(0).thaw().unwrap();
    let state = rig.convex.wait_final("s1", TEST_TIMEOUT).await.unwrap();
    assert_eq!(state.result_calls, result_calls + 2);
    rig.wait_idle().await;
    rig.check_final_state(&submission).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reporter_frozen_between_claim_and_call_does_not_call() {
    let mut rig = Rig::bare().await;
    let proxy = Proxy::start(&rig.nats).await;
    let url = proxy.url();
    rig.add_reporter(&[SHORT[0], SHORT[1], ("NATS_URL", url.as_str())]).await;
    proxy.hold_answers_after("callback.claimed.s1");
    let submission = submission("s1");
    assert!(rig.begin(&submission).await);
    proxy.wait_held(TEST_TIMEOUT).await.unwrap();
    rig.reporter(0).freeze().unwrap();
    rig.add_reporter(&SHORT).await;
    rig.judge(&submission, passed()).await;
    rig.check_final_state(&submission).await;
    // Now the reporter learns that it holds the claim.
    proxy.release();
    rig.reporter(0).thaw().unwrap();
    rig.wait_idle().await;
    let state = rig.check_final_state(&submission).await;
    assert_eq!(state.running_calls, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn claim_that_takes_longer_than_its_window_is_not_used() {
    let mut rig = Rig::bare().await;
    let proxy = Proxy::start(&rig.nats).await;
    let (url, window) = (proxy.url(), Duration::from_millis(100));
    rig.add_reporter(&[("RUNNING_TIMEOUT_MS", "100"), ("NATS_URL", url.as_str())]).await;
    proxy.hold_answers_after("callback.claimed.s1");
    let submission = submission("s1");
    assert!(rig.begin(&submission).await);
    proxy.wait_held(TEST_TIMEOUT).await.unwrap();
    // There is no event to wait for, only the time; the answer of the server is still accepted afterwards.
    tokio::time::sleep(window).await;
    proxy.release();
    rig.wait_idle().await;
    rig.judge(&submission, passed()).await;
    let state = rig.check_final_state(&submission).await;
    assert_eq!((state.running_calls, state.result_calls), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn reporter_frozen_in_a_result_call_sends_the_same_verdict() {
    let mut rig = Rig::start(&SHORT).await;
    let submission = submission("s1");
    assert!(rig.begin(&submission).await);
    rig.wait_applied("s1", Endpoint::RUNNING).await;
    let hold = rig.convex.hold_before(Matcher::of(Endpoint::RESULT).first(1));
    rig.judge(&submission, passed()).await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.reporter(0).freeze().unwrap();
    rig.add_reporter(&SHORT).await;
    rig.check_final_state(&submission).await;
    rig.reporter(0).thaw().unwrap();
    hold.release();
    let reported = |line: &LogLine| line.contains("\"result reported\"");
    rig.reporter(0).wait_log("the result of the frozen reporter", TEST_TIMEOUT, reported).await.unwrap();
    rig.wait_idle().await;
    rig.check_final_state(&submission).await;
}
