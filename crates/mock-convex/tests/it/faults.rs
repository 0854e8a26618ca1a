//! Each fault as the caller sees it, and its effect on the submission.

use std::time::{Duration, Instant};

use gavel_mock_convex::{Endpoint, HttpFault, Lateness, Matcher, Status};
use serde_json::json;

use crate::rig::{Rig, TIMEOUT, passed, running};

#[tokio::test]
async fn status_fault_applies_to_first_calls_only() {
    let rig = Rig::start().await;
    let fault = rig.convex.fault(Matcher::of(Endpoint::RESULT).first(1), HttpFault::retry_after(429, 3));
    let response = rig.try_post(Endpoint::RESULT, &passed("s1")).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"3".parse().unwrap())
    );
    assert!(rig.convex.submission("s1").is_none());
    assert_eq!(rig.post(Endpoint::RESULT, &passed("s1")).await.0, 200);
    assert_eq!(rig.convex.fault_hits(fault), 1);
    assert_eq!(rig.convex.distinct_results("s1").len(), 1);
}

#[tokio::test]
async fn reset_fault_has_no_answer_and_no_effect() {
    let rig = Rig::start().await;
    rig.convex.fault(Matcher::any().first(1), HttpFault::Reset);
    let error = rig.try_post(Endpoint::RESULT, &passed("s1")).await.unwrap_err();
    assert!(error.is_request(), "{error:?}");
    assert!(rig.convex.submission("s1").is_none());
    assert_eq!(rig.convex.calls()[0].answer().unwrap().status, None);
    assert_eq!(rig.post(Endpoint::RESULT, &passed("s1")).await.0, 200);
}

#[tokio::test]
async fn apply_then_reset_loses_only_the_answer() {
    let rig = Rig::start().await;
    rig.convex.fault(Endpoint::RESULT, HttpFault::ApplyThenReset);
    assert!(rig.try_post(Endpoint::RESULT, &passed("s1")).await.is_err());
    assert_eq!(rig.convex.submission("s1").unwrap().status, Status::Passed);
}

#[tokio::test]
async fn abandoned_call_is_applied_late() {
    let rig = Rig::start().await;
    // Held, not delayed: this is Fault::ApplyLate at a moment that the test chooses.
    let hold = rig.convex.hold_before(Matcher::of(Endpoint::RUNNING).id("s1"));
    let given_up = rig.request(Endpoint::RUNNING.path()).json(&running("s1"));
    let sent = tokio::spawn(given_up.send());
    hold.wait_arrived(1, TIMEOUT).await.unwrap();
    sent.abort();
    assert_eq!(rig.post(Endpoint::RESULT, &passed("s1")).await.0, 200);
    hold.release();
    let state = rig.convex.wait_submission("s1", TIMEOUT, |s| s.status == Status::Running).await.unwrap();
    assert_eq!(state.result_calls, 1);
    let late: Vec<_> = rig.convex.running_after_result().iter().map(|call| call.lateness).collect();
    assert_eq!(late, [Lateness::Applied]);
}

#[tokio::test]
async fn apply_late_takes_effect_after_caller_is_gone() {
    let rig = Rig::start().await;
    rig.convex.fault(Endpoint::RESULT, HttpFault::ApplyLate(Duration::from_millis(150)));
    let sent = tokio::spawn(rig.request(Endpoint::RESULT.path()).json(&passed("s1")).send());
    rig.convex.wait_calls(Endpoint::RESULT, 1, TIMEOUT).await.unwrap();
    sent.abort();
    rig.convex.wait_final("s1", TIMEOUT).await.unwrap();
    let call = &rig.convex.calls()[0];
    assert!(call.applied_at().unwrap() - call.received_at >= Duration::from_millis(150));
}

#[tokio::test]
async fn hang_and_slow_faults_apply_at_once() {
    let rig = Rig::start().await;
    let pause = Duration::from_millis(200);
    rig.convex.fault(Matcher::any().id("s1"), HttpFault::Hang(pause));
    rig.convex.fault(Matcher::any().id("s2"), HttpFault::Slow(pause));
    for id in ["s1", "s2"] {
        let start = Instant::now();
        assert_eq!(rig.post(Endpoint::RESULT, &passed(id)).await, (200, json!({ "ok": true })));
        assert!(start.elapsed() >= pause, "{id}");
    }
    let hung = &rig.convex.calls_of("s1")[0];
    assert!(hung.answer().unwrap().at - hung.applied_at().unwrap() >= pause);
    let slow = &rig.convex.calls_of("s2")[0];
    assert!(slow.answer().unwrap().at < Instant::now().checked_sub(pause).unwrap(), "the head came at once");
}

#[tokio::test]
async fn html_redirect_and_half_body_look_real() {
    let rig = Rig::start().await;
    let html = rig.convex.fault(Endpoint::TEST_CASES, HttpFault::Html(200));
    let sum = json!({ "questionId": "sum" });
    let response = rig.try_post(Endpoint::TEST_CASES, &sum).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"text/html".parse().unwrap())
    );
    rig.convex.remove_fault(html);
    rig.convex.fault(Matcher::any().first(1), HttpFault::Redirect(307, "http://127.0.0.1:9/".to_owned()));
    let response = rig.try_post(Endpoint::TEST_CASES, &sum).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers().contains_key("location")), (307, true));
    rig.convex.fault(Matcher::any(), HttpFault::HalfBody);
    let torn = rig.try_post(Endpoint::TEST_CASES, &sum).await.unwrap();
    assert_eq!(torn.status(), 200, "the head and a half of the body come");
    assert!(torn.bytes().await.is_err());
    rig.convex.clear_faults();
    assert_eq!(rig.post(Endpoint::TEST_CASES, &sum).await.0, 200);
}

#[tokio::test]
async fn bodies_of_a_half_broken_convex_look_real() {
    let rig = Rig::start().await;
    let sum = json!({ "questionId": "sum" });
    let whole = rig.try_post(Endpoint::TEST_CASES, &sum).await.unwrap().bytes().await.unwrap();
    let answer = async |fault| {
        let fault = rig.convex.fault(Endpoint::TEST_CASES, fault);
        let response = rig.try_post(Endpoint::TEST_CASES, &sum).await.unwrap();
        rig.convex.remove_fault(fault);
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let (media, encoding) = (header("content-type"), header("content-encoding"));
        (status, media.unwrap(), encoding, response.bytes().await.unwrap())
    };
    let json = "application/json".to_owned();
    let (status, media, encoding, body) = answer(HttpFault::Gzip).await;
    assert_eq!((status, &media, encoding.as_deref()), (200, &json, Some("gzip")));
    assert!(body.starts_with(b"\x1f\x8b") && body.len() < whole.len());
    let (status, _, encoding, body) = answer(HttpFault::GzipBomb(10 << 20)).await;
    assert!((status, encoding.as_deref()) == (200, Some("gzip")) && body.len() < 20_000, "{}", body.len());
    let cut = answer(HttpFault::CutBody).await;
    assert_eq!(cut, (200, json.clone(), None, whole.slice(..whole.len() / 2)));
    let (status, media, _, body) = answer(HttpFault::Refused(404)).await;
    assert!((status, media) == (404, json) && body.starts_with(b"{\"error\":"), "{body:?}");
    let (status, media, _, body) = answer(HttpFault::without_http_actions()).await;
    assert!(status == 404 && media.starts_with("text/plain") && body.ends_with(b"actions enabled."));
    let foreign = answer(HttpFault::Foreign(201, "text/csv", "a,b".to_owned())).await;
    assert_eq!(foreign, (201, "text/csv".to_owned(), None, "a,b".into()));
}
