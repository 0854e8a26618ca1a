//! Faults of Convex: whatever it does, it ends on the verdict, and its status never goes backwards.

use std::time::Duration;

use futures::future::join_all;
use gavel_bus::topology::Stream;
use gavel_mock_convex::{Endpoint, HttpFault, Lateness, Matcher, MockConvex};
use gavel_testkit::TEST_TIMEOUT;
use gavel_testkit::fixtures::{passed, submission};

use crate::rig::{Rig, submissions};

/// Settings with which the window of a `running` call and its linger end soon.
const SHORT: [(&str, &str); 3] =
    [("RUNNING_TIMEOUT_MS", "2000"), ("RUNNING_LINGER_MS", "2000"), ("REQUEST_TIMEOUT_MS", "2000")];

/// Faults with their names, and whether they leave the outcome of a call unknown.
fn faults() -> Vec<(&'static str, HttpFault, bool)> {
    let late = Duration::from_secs(4);
    vec![
        ("s503", HttpFault::status(503), false),
        ("s429", HttpFault::retry_after(429, 1), false),
        ("never", HttpFault::retry_after(503, u64::MAX), false),
        ("s500", HttpFault::status(500), false),
        ("bad-gateway", HttpFault::Html(502), true),
        ("gateway-timeout", HttpFault::Html(504), true),
        ("cloudflare", HttpFault::Html(524), true),
        ("sign-in", HttpFault::Html(200), false),
        ("sign-in-403", HttpFault::Html(403), false),
        ("moved", HttpFault::Redirect(302, "http://127.0.0.1:9/".to_owned()), false),
        ("platform", HttpFault::without_http_actions(), false),
        ("reset", HttpFault::Reset, true),
        ("applied-reset", HttpFault::ApplyThenReset, true),
        ("hang", HttpFault::Hang(late), true),
        ("slow", HttpFault::Slow(late), false),
        ("half", HttpFault::HalfBody, false),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn running_that_fails_once_keeps_the_order() {
    let rig = Rig::start(&SHORT).await;
    let checks = faults().into_iter().map(async |(name, fault, open)| {
        let submission = submission(name);
        rig.convex.fault(Matcher::of(Endpoint::RUNNING).id(name).first(1), fault);
        assert!(rig.begin(&submission).await);
        let called = |mock_convex: &MockConvex| (!mock_convex.calls_of(name).is_empty()).then_some(());
        rig.convex.wait_for("running", TEST_TIMEOUT, called).await.unwrap();
        rig.judge(&submission, passed()).await;
        let state = rig.check_final_state(&submission).await;
        // The result is sent again only if Convex may still apply the running call.
        assert_eq!(state.result_calls, 1 + u64::from(open), "{name}");
    });
    join_all(checks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn running_that_always_fails_does_not_block_the_result() {
    let rig = Rig::start(&SHORT).await;
    let refusals = faults().into_iter().chain([
        ("s404", HttpFault::status(404), false),
        ("s401", HttpFault::status(401), false),
        ("elsewhere", HttpFault::Redirect(307, rig.convex.url()), false),
    ]);
    let checks = refusals.map(async |(name, fault, _)| {
        let submission = submission(name);
        rig.convex.fault(Matcher::of(Endpoint::RUNNING).id(name), fault);
        assert!(rig.begin(&submission).await);
        let called = |mock_convex: &MockConvex| (!mock_convex.calls_of(name).is_empty()).then_some(());
        rig.convex.wait_for("running", TEST_TIMEOUT, called).await.unwrap();
        rig.judge(&submission, passed()).await;
        rig.check_final_state(&submission).await;
    });
    join_all(checks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn result_waits_a_second_after_a_dropped_running_call() {
    // Without the record that the call was dropped, the result would wait for a minute.
    let rig = Rig::start(&[("RUNNING_TIMEOUT_MS", "60000")]).await;
    for (name, fault) in [("reset", HttpFault::Reset), ("gateway", HttpFault::Html(502))] {
        let submission = submission(name);
        rig.convex.fault(Matcher::of(Endpoint::RUNNING).id(name), fault);
        assert!(rig.begin(&submission).await);
        let answered =
            |mock_convex: &MockConvex| mock_convex.calls_of(name).first()?.answer().map(|answer| answer.at);
        let dropped_at = rig.convex.wait_for("running", TEST_TIMEOUT, answered).await.unwrap();
        rig.judge(&submission, passed()).await;
        let results = rig.wait_result_calls(name, 1).await;
        let waited = results[0].received_at - dropped_at;
        println!("{name}: the result came {waited:?} after the dropped call");
        assert!((Duration::from_millis(950)..Duration::from_secs(45)).contains(&waited), "{waited:?}");
        let state = rig.check_final_state(&submission).await;
        assert_eq!((state.running_calls, state.result_calls), (1, 2), "it is sent again after the linger");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn result_waits_for_the_window_of_a_hanging_running_call() {
    let timeout = Duration::from_secs(4);
    let rig = Rig::start(&[("RUNNING_TIMEOUT_MS", "4000")]).await;
    let submission = submission("s1");
    let hold = rig.convex.hold_before(Endpoint::RUNNING);
    assert!(rig.begin(&submission).await);
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.judge(&submission, passed()).await;
    let results = rig.wait_result_calls("s1", 1).await;
    // The window begins before the claim is stored, and ends a second after the timeout: what the load delays is in that
    // second.
    let claim = rig.jetstream.last_message(Stream::Result, "callback.claimed.s1").await.unwrap();
    let waited = results[0].received_wall.duration_since(claim.time.into()).unwrap();
    println!("the result came {waited:?} after the claim of the hanging call");
    assert!(waited >= timeout, "Convex may still apply the call: {waited:?}");
    hold.release();
    rig.check_final_state(&submission).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn result_that_fails_twice_is_retried() {
    let rig = Rig::start(&SHORT).await;
    let mut all = Vec::new();
    for (name, fault, _) in faults() {
        // A result waits as long as Convex asks for, up to the retry limit, so this fault gets a short delay.
        let fault = if name == "never" { HttpFault::retry_after(503, 1) } else { fault };
        rig.convex.fault(Matcher::of(Endpoint::RESULT).id(name).first(2), fault);
        all.push(submission(name));
        rig.begin(all.last().unwrap()).await;
        rig.wait_applied(name, Endpoint::RUNNING).await;
        rig.judge(all.last().unwrap(), passed()).await;
    }
    for submission in &all {
        let state = rig.check_final_state(submission).await;
        let is_accepted_at_once = ["slow", "half"].contains(&submission.id.as_str());
        assert_eq!(state.result_calls, if is_accepted_at_once { 1 } else { 3 }, "{}", submission.id);
        assert_eq!(state.running_calls, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_of_convex_is_honoured() {
    let rig = Rig::start(&[]).await;
    rig.convex.fault(Matcher::of(Endpoint::RESULT).first(1), HttpFault::retry_after(429, 2));
    let submission = submission("s1");
    rig.judge(&submission, passed()).await;
    rig.check_final_state(&submission).await;
    let calls = rig.convex.calls_of("s1");
    assert!(calls[1].received_at - calls[0].received_at >= Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn running_applied_after_the_result_is_overwritten_by_it() {
    let settings = [("RUNNING_TIMEOUT_MS", "300"), ("RUNNING_LINGER_MS", "4000")];
    let rig = Rig::start(&settings).await;
    // The result is sent 1.3 s after the claim (0.3 s for the call, and a margin), and again 4 s later. On a machine
    // without load, that is before and after each running call takes effect.
    rig.convex.fault(Endpoint::RUNNING, HttpFault::ApplyLate(Duration::from_secs(3)));
    let all = submissions("s", 20);
    for submission in &all {
        assert!(rig.begin(submission).await);
    }
    rig.convex.wait_calls(Endpoint::RUNNING, 4, TEST_TIMEOUT).await.unwrap();
    for submission in &all {
        rig.judge(submission, passed()).await;
    }
    for submission in &all {
        let state = rig.check_final_state(submission).await;
        let late = rig.late(submission.id.as_str(), Lateness::Applied) as u64;
        assert_eq!(state.result_calls, 1 + u64::from(state.running_calls > 0), "{state:?}");
        assert!(late <= state.running_calls, "{state:?}");
    }
    assert!(
        !rig.convex.running_after_result().is_empty(),
        "at least one running call was applied after a result"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_calls_are_limited() {
    let rig = Rig::start(&[("CONVEX_MAX_IN_FLIGHT", "3"), ("REPORTER_SLOTS", "64")]).await;
    rig.convex.fault(Matcher::any(), HttpFault::Hang(Duration::from_millis(100)));
    let all = submissions("s", 40);
    for submission in &all {
        rig.run(submission).await;
    }
    rig.wait_reported(&all).await;
    let calls = rig.convex.calls();
    let in_flight = |at| {
        let is_in_flight = |call: &&std::sync::Arc<gavel_mock_convex::ReceivedCall>| {
            call.received_at <= at && call.answer().is_some_and(|answer| at < answer.at)
        };
        calls.iter().filter(is_in_flight).count()
    };
    let max_parallel = calls.iter().map(|call| in_flight(call.received_at)).max();
    assert_eq!(max_parallel, Some(3), "of {} calls", calls.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn result_that_is_always_refused_blocks_no_other() {
    let rig = Rig::start(&[("REPORTER_SLOTS", "4")]).await;
    rig.convex.fault(Matcher::any().id("bad0"), HttpFault::status(500));
    let bad = submission("bad0");
    rig.run(&bad).await;
    rig.wait_result_calls("bad0", 1).await;
    let all = submissions("s", 200);
    for submission in &all {
        rig.run(submission).await;
    }
    rig.wait_reported(&all).await;
    rig.wait_result_calls("bad0", 3).await;
    for submission in &all {
        rig.check_final_state(submission).await;
    }
    rig.convex.clear_faults();
    rig.check_final_state(&bad).await;
}
