//! NATS is killed, or its answers are lost, at each step of the protocol.

use gavel_mock_convex::Endpoint;
use gavel_testkit::fixtures::{passed, submission};
use gavel_testkit::{Proxy, TEST_TIMEOUT, wait_until};

use crate::rig::{Rig, submissions};

#[tokio::test(flavor = "multi_thread")]
async fn nats_killed_between_running_and_verdict() {
    let rig = Rig::start(&[]).await;
    let all = submissions("s", 10);
    for submission in &all {
        assert!(rig.begin(submission).await);
        rig.wait_applied(submission.id.as_str(), Endpoint::RUNNING).await;
    }
    rig.nats.kill().await.unwrap();
    rig.nats.restart().await.unwrap();
    wait_until("the connection", TEST_TIMEOUT, async || rig.bus.is_connected()).await.unwrap();
    for submission in &all {
        rig.judge(submission, passed()).await;
    }
    for submission in &all {
        rig.check_final_state(submission).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_killed_during_a_running_call() {
    let rig = Rig::start(&[]).await;
    let submission = submission("s1");
    let hold = rig.convex.hold(Endpoint::RUNNING);
    assert!(rig.begin(&submission).await);
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.nats.kill().await.unwrap();
    hold.release();
    let reported = |line: &gavel_testkit::LogLine| line.contains("\"running reported\"");
    rig.reporter(0).wait_log("the running call", TEST_TIMEOUT, reported).await.unwrap();
    rig.nats.restart().await.unwrap();
    let recorded = async || rig.stored("callback.answered.s1").await == Some(1);
    wait_until("the end of running", TEST_TIMEOUT, recorded).await.unwrap();
    rig.judge(&submission, passed()).await;
    let state = rig.check_final_state(&submission).await;
    assert_eq!((state.running_calls, state.result_calls), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_killed_during_a_result_call() {
    let rig = Rig::start(&[]).await;
    let submission = submission("s1");
    let hold = rig.convex.hold(Endpoint::RESULT);
    assert!(rig.begin(&submission).await);
    rig.wait_applied("s1", Endpoint::RUNNING).await;
    rig.judge(&submission, passed()).await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.nats.kill().await.unwrap();
    hold.release();
    let reported = |line: &gavel_testkit::LogLine| line.contains("\"result reported\"");
    rig.reporter(0).wait_log("the report", TEST_TIMEOUT, reported).await.unwrap();
    rig.nats.restart().await.unwrap();
    rig.check_final_state(&submission).await;
    rig.wait_idle().await;
    rig.check_final_state(&submission).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answer_to_the_running_claim() {
    let mut rig = Rig::bare().await;
    let proxy = Proxy::start(&rig.nats).await;
    let url = proxy.url();
    rig.add_reporter(&[("NATS_URL", url.as_str())]).await;
    proxy.hold_answers_after("callback.claimed.s1");
    let submission = submission("s1");
    assert!(rig.begin(&submission).await);
    proxy.wait_held(TEST_TIMEOUT).await.unwrap();
    proxy.cut();
    // The record says that the call of this claim has ended.
    let released = async || rig.stored("callback.answered.s1").await == Some(1);
    wait_until("the end of running", TEST_TIMEOUT, released).await.unwrap();
    rig.judge(&submission, passed()).await;
    let state = rig.check_final_state(&submission).await;
    assert_eq!((state.running_calls, state.result_calls), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answer_to_the_end_of_running() {
    let mut rig = Rig::bare().await;
    let proxy = Proxy::start(&rig.nats).await;
    let url = proxy.url();
    rig.add_reporter(&[("NATS_URL", url.as_str())]).await;
    proxy.hold_answers_after("callback.answered.s1");
    let submission = submission("s1");
    assert!(rig.begin(&submission).await);
    proxy.wait_held(TEST_TIMEOUT).await.unwrap();
    proxy.cut();
    rig.judge(&submission, passed()).await;
    let state = rig.check_final_state(&submission).await;
    rig.wait_idle().await;
    assert_eq!((state.running_calls, state.result_calls), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answer_to_the_result_claim_or_report() {
    let mut rig = Rig::bare().await;
    let proxy = Proxy::start(&rig.nats).await;
    let url = proxy.url();
    rig.add_reporter(&[("NATS_URL", url.as_str())]).await;
    for (id, subject) in [("s1", "HPUB callback.claimed.s1"), ("s2", "HPUB submission.reported.s2")] {
        proxy.hold_answers_after(subject);
        let submission = submission(id);
        rig.judge(&submission, passed()).await;
        proxy.wait_held(TEST_TIMEOUT).await.unwrap();
        proxy.cut();
        rig.check_final_state(&submission).await;
        rig.wait_idle().await;
        assert_eq!(rig.check_final_state(&submission).await.result_calls, 1, "{id}");
    }
}
