//! `CONVEX_ORDER=guarded`: Convex ignores calls that are out of date, so a result is sent at once, whatever became of
//! the `running` call.

use gavel_domain::{Status as Verdict, Submission};
use gavel_mock_convex::{Endpoint, HttpFault, Matcher, MockConvex, ReceivedCall, Status, SubmissionState};
use gavel_testkit::fixtures::{passed, submission};
use gavel_testkit::{Proxy, TEST_TIMEOUT};

use crate::rig::{Rig, submissions};

/// With a window for `running` that is far longer than a test, a result that waited for its end would never be sent.
const GUARDED: [(&str, &str); 3] =
    [("CONVEX_ORDER", "guarded"), ("RUNNING_TIMEOUT_MS", "600000"), ("REQUEST_TIMEOUT_MS", "600000")];

/// A rig whose Convex guards the order, without a reporter.
async fn bare() -> Rig {
    let rig = Rig::bare().await;
    rig.convex.guard_order();
    rig
}

/// The same with one reporter.
async fn start(settings: &[(&str, &str)]) -> Rig {
    let mut rig = bare().await;
    rig.add_reporter(&[&GUARDED, settings].concat()).await;
    rig
}

/// Waits for the report of a submission that passed, and checks that Convex received one verdict and shows it.
async fn check_passed(rig: &Rig, submission: &Submission) -> SubmissionState {
    rig.wait_reported(std::slice::from_ref(submission)).await;
    let id = submission.id.as_str();
    let state = rig.convex.submission(id).unwrap();
    assert_eq!(state.status, Status::Passed, "{id}: {:#?}", rig.convex.calls_of(id));
    assert_eq!(rig.convex.distinct_results(id).len(), 1, "{id}");
    state
}

/// Waits until every call of a submission is answered.
async fn wait_answered(rig: &Rig, id: &str) {
    let is_answered =
        |convex: &MockConvex| convex.calls_of(id).iter().all(|call| call.answer().is_some()).then_some(());
    rig.convex.wait_for(&format!("the answers to {id}"), TEST_TIMEOUT, is_answered).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn result_does_not_wait_for_a_hanging_running_call() {
    let rig = start(&[]).await;
    let submission = submission("s1");
    let hold = rig.convex.hold_before(Endpoint::RUNNING);
    assert!(rig.begin(&submission).await);
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.judge(&submission, passed()).await;
    check_passed(&rig, &submission).await;
    // Convex receives the call from its queue only now.
    hold.release();
    wait_answered(&rig, "s1").await;
    rig.wait_idle().await;
    let state = check_passed(&rig, &submission).await;
    assert_eq!((state.running_calls, state.result_calls), (1, 1));
    assert_eq!(rig.stored("callback.>").await, Some(0), "no call is claimed or recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn result_does_not_wait_after_a_lost_answer_to_running() {
    let rig = start(&[]).await;
    let submission = submission("s1");
    rig.convex.fault(Endpoint::RUNNING, HttpFault::ApplyThenReset);
    assert!(rig.begin(&submission).await);
    rig.wait_applied("s1", Endpoint::RUNNING).await;
    rig.judge(&submission, passed()).await;
    assert_eq!(check_passed(&rig, &submission).await.result_calls, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn running_without_an_answer_is_sent_again() {
    let rig = start(&[]).await;
    rig.convex.fault(Matcher::of(Endpoint::RUNNING).first(1), HttpFault::Reset);
    assert!(rig.begin(&submission("s1")).await);
    rig.wait_applied("s1", Endpoint::RUNNING).await;
    let state = rig.convex.submission("s1").unwrap();
    assert_eq!((state.status, state.running_calls), (Status::Running, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn running_is_not_sent_after_the_verdict() {
    let mut rig = bare().await;
    let all = submissions("s", 20);
    for submission in &all {
        rig.run(submission).await;
    }
    rig.add_reporter(&GUARDED).await;
    rig.wait_reported(&all).await;
    rig.wait_idle().await;
    assert_eq!((rig.convex.call_count(Endpoint::RUNNING), rig.convex.call_count(Endpoint::RESULT)), (0, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_running_calls_leave_permits_for_results() {
    let rig = start(&[("CONVEX_MAX_IN_FLIGHT", "4")]).await;
    let hold = rig.convex.hold_before(Endpoint::RUNNING);
    let all = submissions("s", 20);
    for submission in &all {
        assert!(rig.begin(submission).await);
    }
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    for submission in &all {
        rig.judge(submission, passed()).await;
    }
    for submission in &all {
        assert_eq!(check_passed(&rig, submission).await.result_calls, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_events_through_three_reporters_take_effect_once() {
    let mut rig = bare().await;
    for _ in 0..3 {
        rig.add_reporter(&GUARDED).await;
    }
    let all = submissions("s", 200);
    for submission in &all {
        rig.run(submission).await;
    }
    for submission in &all {
        check_passed(&rig, submission).await;
        let calls = rig.convex.calls_of(submission.id.as_str());
        let applied = |endpoint| {
            calls.iter().filter(|call| call.endpoint == endpoint && call.applied_at().is_some()).count()
        };
        // A machine under load may deliver an event again before it is handled.
        assert_eq!(applied(Endpoint::RESULT), 1, "{calls:#?}");
        assert!(applied(Endpoint::RUNNING) <= 1, "{calls:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reporter_killed_during_a_running_call_leaves_the_result() {
    let rig = start(&[]).await;
    let submission = submission("s1");
    let hold = rig.convex.hold_before(Endpoint::RUNNING);
    assert!(rig.begin(&submission).await);
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.reporter(0).kill().await.unwrap();
    rig.judge(&submission, passed()).await;
    rig.reporter(0).restart().await.unwrap();
    check_passed(&rig, &submission).await;
    hold.release();
    wait_answered(&rig, "s1").await;
    rig.wait_idle().await;
    assert_eq!(check_passed(&rig, &submission).await.result_calls, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn reporter_frozen_during_a_running_call_leaves_the_result() {
    let mut rig = start(&[]).await;
    let submission = submission("s1");
    let hold = rig.convex.hold_before(Matcher::of(Endpoint::RUNNING).first(1));
    assert!(rig.begin(&submission).await);
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.reporter(0).freeze().unwrap();
    rig.add_reporter(&GUARDED).await;
    rig.judge(&submission, passed()).await;
    check_passed(&rig, &submission).await;
    hold.release();
    rig.reporter(0).thaw().unwrap();
    wait_answered(&rig, "s1").await;
    rig.wait_idle().await;
    check_passed(&rig, &submission).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reporter_killed_during_a_result_call_sends_the_same_verdict() {
    let rig = start(&[]).await;
    let submission = submission("s1");
    let hold = rig.convex.hold(Matcher::of(Endpoint::RESULT).first(1));
    rig.judge(&submission, passed()).await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.reporter(0).restart().await.unwrap();
    assert_eq!(check_passed(&rig, &submission).await.result_calls, 2);
    let applied = rig.convex.calls_of("s1").iter().filter(|call| call.applied_at().is_some()).count();
    assert_eq!(applied, 1, "Convex ignores the repeat");
}

#[tokio::test(flavor = "multi_thread")]
async fn reported_result_is_not_sent_again() {
    let mut rig = bare().await;
    let proxy = Proxy::start(&rig.nats).await;
    let url = proxy.url();
    rig.add_reporter(&[&GUARDED[..], &[("NATS_URL", url.as_str())]].concat()).await;
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
    assert_eq!(check_passed(&rig, &submission).await.result_calls, 1, "after a redelivery");
    // A consumer that is created again delivers everything from the beginning, as a first delivery.
    rig.delete_consumers().await;
    rig.wait_idle().await;
    assert_eq!(check_passed(&rig, &submission).await.result_calls, 1, "after the loss of the consumer");
}

#[tokio::test(flavor = "multi_thread")]
async fn late_result_of_an_earlier_generation_leaves_the_later_one() {
    let rig = start(&[("REQUEST_TIMEOUT_MS", "500")]).await;
    let first = submission("s1");
    let hold = rig.convex.hold_before(Matcher::of(Endpoint::RESULT).first(1));
    rig.judge(&first, gavel_domain::Verdict { status: Verdict::Failed, ..passed() }).await;
    rig.wait_reported(std::slice::from_ref(&first)).await;
    let second = rig.rejudge(&first).await;
    assert!(rig.begin(&second).await);
    let is_running = |state: &SubmissionState| state.status == Status::Running;
    rig.convex.wait_submission("s1", TEST_TIMEOUT, is_running).await.unwrap();
    rig.judge(&second, passed()).await;
    rig.wait_reported(std::slice::from_ref(&second)).await;
    // Convex now handles the first attempt of the first generation, whose answer the reporter had not awaited.
    hold.release();
    wait_answered(&rig, "s1").await;
    assert_eq!(rig.convex.submission("s1").unwrap().status, Status::Passed);
    // Neither generation is sent again.
    let before = rig.convex.call_count(None);
    rig.delete_consumers().await;
    rig.wait_idle().await;
    assert_eq!(rig.convex.call_count(None), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_reporter_does_not_send_again_what_a_guarded_one_reported() {
    let mut rig = start(&[]).await;
    let first = submission("s1");
    rig.judge(&first, gavel_domain::Verdict { status: Verdict::Failed, ..passed() }).await;
    rig.wait_reported(std::slice::from_ref(&first)).await;
    let second = rig.rejudge(&first).await;
    rig.judge(&second, passed()).await;
    rig.wait_reported(std::slice::from_ref(&second)).await;
    rig.wait_idle().await;
    let before = rig.convex.call_count(None);
    // The guarded reporter made no claims, so nothing else tells the strict one that these results were sent.
    rig.reporter(0).kill().await.unwrap();
    rig.add_reporter(&[]).await;
    rig.delete_consumers().await;
    rig.wait_idle().await;
    assert_eq!(rig.convex.call_count(None), before);
    assert_eq!(rig.convex.submission("s1").unwrap().status, Status::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn retried_running_calls_leave_permits_for_results() {
    let rig = start(&[("CONVEX_MAX_IN_FLIGHT", "4")]).await;
    let all = submissions("s", 4);
    // The first attempts of `running` fail and the next ones hang; results need a second attempt, too.
    rig.convex.fault(Matcher::of(Endpoint::RUNNING).first(4), HttpFault::Reset);
    rig.convex.fault(Matcher::of(Endpoint::RESULT).first(4), HttpFault::Reset);
    for submission in &all {
        assert!(rig.begin(submission).await);
    }
    rig.convex
        .wait_for("the first attempts", TEST_TIMEOUT, |convex| {
            (convex.call_count(Endpoint::RUNNING) >= 4).then_some(())
        })
        .await
        .unwrap();
    let hold = rig.convex.hold_before(Endpoint::RUNNING);
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    for submission in &all {
        rig.judge(submission, passed()).await;
    }
    for submission in &all {
        check_passed(&rig, submission).await;
    }
    let is_hanging = |call: &&std::sync::Arc<ReceivedCall>| call.answer().is_none();
    let calls = rig.convex.calls();
    assert_eq!(calls.iter().filter(is_hanging).count(), 1, "a quarter of the permits: {calls:#?}");
}
