//! Each fault as its caller sees it, and what it did to the submission.

use std::time::{Duration, Instant};

use gavel_mock_convex::{Endpoint, Fault, Late, Matcher, Status};
use serde_json::json;

use crate::support::{PATIENCE, Rig, passed, running};

#[tokio::test]
async fn a_status_comes_with_its_header_for_the_first_calls_only() {
    let rig = Rig::start().await;
    let fault = rig.mock_convex.fault(Matcher::of(Endpoint::RESULT).first(1), Fault::retry_after(429, 3));
    let response = rig.try_post(Endpoint::RESULT, &passed("s1")).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"3".parse().unwrap())
    );
    assert!(rig.mock_convex.submission("s1").is_none());
    assert_eq!(rig.post(Endpoint::RESULT, &passed("s1")).await.0, 200);
    assert_eq!(rig.mock_convex.fault_hits(fault), 1);
    assert_eq!(rig.mock_convex.distinct_results("s1").len(), 1);
}

#[tokio::test]
async fn a_reset_has_no_answer_and_no_effect() {
    let rig = Rig::start().await;
    rig.mock_convex.fault(Matcher::any().first(1), Fault::Reset);
    let error = rig.try_post(Endpoint::RESULT, &passed("s1")).await.unwrap_err();
    assert!(error.is_request(), "{error:?}");
    assert!(rig.mock_convex.submission("s1").is_none());
    assert_eq!(rig.mock_convex.calls()[0].answer().unwrap().status, None);
    assert_eq!(rig.post(Endpoint::RESULT, &passed("s1")).await.0, 200);
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_effect() {
    let rig = Rig::start().await;
    rig.mock_convex.fault(Endpoint::RESULT, Fault::ApplyThenReset);
    assert!(rig.try_post(Endpoint::RESULT, &passed("s1")).await.is_err());
    assert_eq!(rig.mock_convex.submission("s1").unwrap().status, Status::Passed);
}

#[tokio::test]
async fn a_call_that_was_given_up_is_applied_late() {
    let rig = Rig::start().await;
    // Held, not delayed: this is Fault::ApplyLate with the moment in the test's hand.
    let hold = rig.mock_convex.hold_before(Matcher::of(Endpoint::RUNNING).id("s1"));
    let given_up = rig.request(Endpoint::RUNNING.path()).json(&running("s1"));
    let sent = tokio::spawn(given_up.send());
    hold.wait_arrived(1, PATIENCE).await.unwrap();
    sent.abort();
    assert_eq!(rig.post(Endpoint::RESULT, &passed("s1")).await.0, 200);
    hold.release();
    let state =
        rig.mock_convex.wait_submission("s1", PATIENCE, |s| s.status == Status::Running).await.unwrap();
    assert_eq!(state.result_calls, 1);
    let late: Vec<_> = rig.mock_convex.running_after_result().iter().map(|b| b.late).collect();
    assert_eq!(late, [Late::Applied]);
}

#[tokio::test]
async fn late_application_outlives_its_caller() {
    let rig = Rig::start().await;
    rig.mock_convex.fault(Endpoint::RESULT, Fault::ApplyLate(Duration::from_millis(150)));
    let sent = tokio::spawn(rig.request(Endpoint::RESULT.path()).json(&passed("s1")).send());
    rig.mock_convex.wait_calls(Endpoint::RESULT, 1, PATIENCE).await.unwrap();
    sent.abort();
    rig.mock_convex.wait_final("s1", PATIENCE).await.unwrap();
    let call = &rig.mock_convex.calls()[0];
    assert!(call.applied_at().unwrap() - call.received_at >= Duration::from_millis(150));
}

#[tokio::test]
async fn hanging_and_slow_answers_are_applied_at_once() {
    let rig = Rig::start().await;
    let pause = Duration::from_millis(200);
    rig.mock_convex.fault(Matcher::any().id("s1"), Fault::Hang(pause));
    rig.mock_convex.fault(Matcher::any().id("s2"), Fault::Slow(pause));
    for id in ["s1", "s2"] {
        let start = Instant::now();
        assert_eq!(rig.post(Endpoint::RESULT, &passed(id)).await, (200, json!({ "ok": true })));
        assert!(start.elapsed() >= pause, "{id}");
    }
    let hung = &rig.mock_convex.calls_of("s1")[0];
    assert!(hung.answer().unwrap().at - hung.applied_at().unwrap() >= pause);
    let slow = &rig.mock_convex.calls_of("s2")[0];
    assert!(slow.answer().unwrap().at < Instant::now().checked_sub(pause).unwrap(), "the head came at once");
}

#[tokio::test]
async fn pages_redirects_and_torn_bodies_look_as_they_do_in_the_wild() {
    let rig = Rig::start().await;
    let html = rig.mock_convex.fault(Endpoint::TEST_CASES, Fault::Html(200));
    let sum = json!({ "questionId": "sum" });
    let response = rig.try_post(Endpoint::TEST_CASES, &sum).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"text/html".parse().unwrap())
    );
    rig.mock_convex.lift(html);
    rig.mock_convex.fault(Matcher::any().first(1), Fault::Redirect(307, "http://127.0.0.1:9/".to_owned()));
    let response = rig.try_post(Endpoint::TEST_CASES, &sum).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers().contains_key("location")), (307, true));
    rig.mock_convex.fault(Matcher::any(), Fault::HalfBody);
    let torn = rig.try_post(Endpoint::TEST_CASES, &sum).await.unwrap();
    assert_eq!(torn.status(), 200, "the head and a half of the body come");
    assert!(torn.bytes().await.is_err());
    rig.mock_convex.clear_faults();
    assert_eq!(rig.post(Endpoint::TEST_CASES, &sum).await.0, 200);
}
